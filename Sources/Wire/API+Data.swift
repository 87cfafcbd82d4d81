public import Domain

/// `POST /datasets`: the objects are in the store already (`PUT /blobs/{sha256}`).
public struct DatasetRequest: Hashable, Sendable, Codable {
  /// Its name; `[a-z0-9][a-z0-9._-]*`, at most 64.
  public var name: String
  /// Where it came from, for people.
  public var source: String
  /// What is in it.
  public var manifest: Manifest

  /// A data set version to register.
  public init(name: String, source: String, manifest: Manifest) {
    self.name = name
    self.source = source
    self.manifest = manifest
  }
}

/// `POST /datasets/in-place`: objects of the site's object store, which are read where they are.
public struct DatasetInPlaceRequest: Hashable, Sendable, Codable {
  /// Its name; `[a-z0-9][a-z0-9._-]*`, at most 64.
  public var name: String
  /// `s3://bucket/prefix` or `swift://container/prefix`.
  public var location: String
  /// Where it came from, for people; nil for the location.
  public var source: String?

  /// A data set that is at `location`.
  public init(name: String, location: String, source: String? = nil) {
    self.name = name
    self.location = location
    self.source = source
  }
}

/// `POST /blobs/missing`: asks, and is answered, with hashes.
public struct BlobList: Hashable, Sendable, Codable {
  /// SHA-256 of each.
  public var sha256: [String]

  /// Some blobs.
  public init(sha256: [String]) { self.sha256 = sha256 }
}

/// One version of a data set.
public struct DatasetView: Hashable, Sendable, Codable {
  /// Its id.
  public var id: DatasetVersionID
  /// Its name.
  public var name: String
  /// Its number, from 1.
  public var version: Int
  /// SHA-256 of its manifest's canonical text.
  public var contentID: String
  /// Sum of its objects.
  public var total: ByteCount
  /// How many objects.
  public var objects: Int
  /// Where it came from.
  public var source: String
  /// When it was registered.
  public var createdAt: Timestamp
  /// Nodes that hold it, verified.
  public var replicas: [NodeRef]
  /// Whether it was registered before with the same content (only in the answer to adding it).
  public var existed: Bool
  /// Where its objects are read in place; nil where they are in Baton's own store.
  public var origin: String?
  /// All copies on nodes, whole or not.
  public var copies: [DatasetCopy]
  /// How it is packed; nil where it is not.
  public var pack: PackView?
  /// What is different from the version that was the newest before; nil for a first one.
  public var changes: ManifestChanges?

  /// A version of a data set.
  public init(
    id: DatasetVersionID, name: String, version: Int, contentID: String, total: ByteCount, objects: Int,
    source: String, createdAt: Timestamp, replicas: [NodeRef], existed: Bool = false, origin: String? = nil,
    copies: [DatasetCopy] = [], pack: PackView? = nil, changes: ManifestChanges? = nil
  ) {
    self.id = id
    self.name = name
    self.version = version
    self.contentID = contentID
    self.total = total
    self.objects = objects
    self.source = source
    self.createdAt = createdAt
    self.replicas = replicas
    self.existed = existed
    self.origin = origin
    self.copies = copies
    self.pack = pack
    self.changes = changes
  }
}

/// A copy of a data set version on a node's disk.
public struct DatasetCopy: Hashable, Sendable, Codable {
  /// Where.
  public var node: NodeRef
  /// `STAGING`, `VERIFIED` or `CORRUPT`.
  public var state: String
  /// When it was last known to be what its manifest says.
  public var verifiedAt: Timestamp?

  /// A copy on `node`.
  public init(node: NodeRef, state: String, verifiedAt: Timestamp?) {
    self.node = node
    self.state = state
    self.verifiedAt = verifiedAt
  }
}

/// How a version lies in tar shards.
public struct PackView: Hashable, Sendable, Codable {
  /// How many.
  public var shards: Int
  /// What they take.
  public var bytes: ByteCount
  /// Who packed it.
  public var by: String
  /// When it was done.
  public var at: Timestamp
  /// Whether it was packed before (only in the answer to packing it).
  public var existed: Bool

  /// A pack.
  public init(shards: Int, bytes: ByteCount, by: String, at: Timestamp, existed: Bool = false) {
    self.shards = shards
    self.bytes = bytes
    self.by = by
    self.at = at
    self.existed = existed
  }
}

/// `GET /datasets/{dataset}/lineage`: one version, what it was made from, and what used it.
public struct LineageView: Hashable, Sendable, Codable {
  /// A job that used it.
  public struct Use: Hashable, Sendable, Codable {
    /// The job.
    public var job: JobID
    /// Its name.
    public var name: String
    /// Where it stands.
    public var state: JobState
    /// Who submitted it.
    public var user: String
    /// When.
    public var submittedAt: Timestamp

    /// A job.
    public init(job: JobID, name: String, state: JobState, user: String, submittedAt: Timestamp) {
      self.job = job
      self.name = name
      self.state = state
      self.user = user
      self.submittedAt = submittedAt
    }
  }

  /// The version.
  public var dataset: DatasetView
  /// Who added it; nil where that is not known.
  public var addedBy: String?
  /// The number of the version it was made from; nil for a first one.
  public var madeFrom: Int?
  /// The jobs that were pinned to it, newest first; 100 at most.
  public var jobs: [Use]

  /// A version's history.
  public init(dataset: DatasetView, addedBy: String?, madeFrom: Int?, jobs: [Use]) {
    self.dataset = dataset
    self.addedBy = addedBy
    self.madeFrom = madeFrom
    self.jobs = jobs
  }
}
