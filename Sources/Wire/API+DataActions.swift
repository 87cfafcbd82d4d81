public import Domain

/// What takes its time says how far it is: server-sent events `step`, the last with a result or a failure.
public struct DataStep<Result: Hashable & Sendable & Codable>: Hashable, Sendable, Codable {
  /// How far it is.
  public var progress: DataProgress?
  /// What came of it; the last step.
  public var result: Result?
  /// Why nothing did; the last step.
  public var failure: APIFailure?

  /// How far it is.
  public init(_ progress: DataProgress) { self.progress = progress }

  /// What came of it.
  public init(result: Result) { self.result = result }

  /// Why nothing came of it.
  public init(failure: APIFailure) { self.failure = failure }
}

/// How far something is.
public struct DataProgress: Hashable, Sendable, Codable {
  /// On which node; nil for what the controller does.
  public var node: String?
  /// Objects that were looked at, where they are counted.
  public var objects: Int?
  /// Bytes that are done.
  public var done: ByteCount
  /// Of how many; nil where that is not known.
  public var total: ByteCount?
  /// Bytes a second; nil where nobody measured.
  public var rate: ByteCount?
  /// How long the rest takes at this rate.
  public var eta: TimeSpan?

  /// So far it is.
  public init(
    node: String? = nil, objects: Int? = nil, done: ByteCount = .zero, total: ByteCount? = nil, rate: ByteCount? = nil,
    eta: TimeSpan? = nil
  ) {
    self.node = node
    self.objects = objects
    self.done = done
    self.total = total
    self.rate = rate
    self.eta = eta
  }
}

/// `POST /datasets/{dataset}/stage`: bring a version to all nodes of a lease now.
public struct StageRequest: Hashable, Sendable, Codable {
  /// The lease, by name or id.
  public var lease: String
  /// Which version; nil for the newest.
  public var version: Int?
  /// What of it each node gets; nil for all.
  public var mode: StagingMode?

  /// Bring a version to the nodes of `lease`.
  public init(lease: String, version: Int? = nil, mode: StagingMode? = nil) {
    self.lease = lease
    self.version = version
    self.mode = mode
  }
}

/// What came of staging.
public struct StageReport: Hashable, Sendable, Codable {
  /// One node.
  public struct Node: Hashable, Sendable, Codable {
    /// Its name.
    public var node: String
    /// What is in place there.
    public var bytes: ByteCount
    /// How long it took.
    public var took: TimeSpan
    /// Why it is not in place; nil where it is.
    public var failure: String?

    /// One node.
    public init(node: String, bytes: ByteCount, took: TimeSpan, failure: String? = nil) {
      self.node = node
      self.bytes = bytes
      self.took = took
      self.failure = failure
    }
  }

  /// The data set's name.
  public var name: String
  /// Which version.
  public var version: Int
  /// The lease's name.
  public var lease: String
  /// Its nodes, in rank order.
  public var nodes: [Node]

  /// What came of staging.
  public init(name: String, version: Int, lease: String, nodes: [Node]) {
    self.name = name
    self.version = version
    self.lease = lease
    self.nodes = nodes
  }

  /// Whether all of it is in place everywhere.
  public var isComplete: Bool { nodes.allSatisfy { $0.failure == nil } }
}

/// `POST /datasets/{dataset}/evict`: remove copies from nodes.
public struct EvictRequest: Hashable, Sendable, Codable {
  /// Which version; nil for all.
  public var version: Int?
  /// From this node, by name or id; nil for all.
  public var node: String?
  /// From the nodes of this lease, by name or id; nil for all.
  public var lease: String?

  /// Remove copies.
  public init(version: Int? = nil, node: String? = nil, lease: String? = nil) {
    self.version = version
    self.node = node
    self.lease = lease
  }
}

/// What was removed.
public struct EvictReport: Hashable, Sendable, Codable {
  /// One node.
  public struct Node: Hashable, Sendable, Codable {
    /// Its name.
    public var node: String
    /// What was removed there.
    public var bytes: ByteCount
    /// How many copies, shares and partial ones counted.
    public var removed: Int
    /// How many stay, as an attempt uses them or somebody is staging them.
    public var inUse: Int
    /// Why nothing was done there; nil where it was.
    public var failure: String?

    /// One node.
    public init(node: String, bytes: ByteCount, removed: Int, inUse: Int, failure: String? = nil) {
      self.node = node
      self.bytes = bytes
      self.removed = removed
      self.inUse = inUse
      self.failure = failure
    }
  }

  /// The nodes that were asked.
  public var nodes: [Node]

  /// What was removed.
  public init(nodes: [Node]) { self.nodes = nodes }

  /// Whether nothing that was meant is left.
  public var isComplete: Bool { nodes.allSatisfy { $0.failure == nil && $0.inUse == 0 } }
}

/// `POST /datasets/{dataset}/verify`: read back what is in the store, on nodes, or both.
public struct DataVerifyRequest: Hashable, Sendable, Codable {
  /// Which version; nil for the newest.
  public var version: Int?
  /// Whether copies on nodes are read.
  public var nodes: Bool
  /// Whether the objects in the store are read.
  public var store: Bool

  /// Read back.
  public init(version: Int? = nil, nodes: Bool, store: Bool) {
    self.version = version
    self.nodes = nodes
    self.store = store
  }
}

/// What reading back found.
public struct DataVerification: Hashable, Sendable, Codable {
  /// One place.
  public struct Place: Hashable, Sendable, Codable {
    /// The node's name; nil for the store.
    public var node: String?
    /// Files or objects that were read.
    public var files: Int
    /// What was read.
    public var bytes: ByteCount
    /// How many are damaged or missing.
    public var damagedCount: Int
    /// The first of these.
    public var damaged: [String]
    /// Why it could not be looked at; nil where it was.
    public var failure: String?

    /// So many are named.
    public static let namesMost = 1000

    /// One place.
    public init(node: String?, files: Int, bytes: ByteCount, damaged: [String], failure: String? = nil) {
      self.node = node
      self.files = files
      self.bytes = bytes
      damagedCount = damaged.count
      self.damaged = Array(damaged.prefix(Self.namesMost))
      self.failure = failure
    }
  }

  /// The data set's name.
  public var name: String
  /// Which version.
  public var version: Int
  /// The store first, then nodes.
  public var places: [Place]

  /// What reading back found.
  public init(name: String, version: Int, places: [Place]) {
    self.name = name
    self.version = version
    self.places = places
  }

  /// Whether all was looked at, and nothing is damaged.
  public var isHealthy: Bool { places.allSatisfy { $0.damagedCount == 0 && $0.failure == nil } }
}

/// `POST /datasets/{dataset}/pack`: write a version as tar shards, once.
public struct PackRequest: Hashable, Sendable, Codable {
  /// Which version; nil for the newest.
  public var version: Int?
  /// About how large a shard becomes; nil for 256 MiB.
  public var shardBytes: ByteCount?

  /// Pack a version.
  public init(version: Int? = nil, shardBytes: ByteCount? = nil) {
    self.version = version
    self.shardBytes = shardBytes
  }
}
