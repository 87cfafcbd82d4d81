public import Domain
import Postgres

/// A version of a data set that somebody brings.
public struct NewDatasetVersion: Hashable, Sendable {
  /// For whom.
  public var project: ProjectID
  /// The data set's name in the project.
  public var name: String
  /// SHA-256 of the manifest's canonical text, 64 lower-case hexadecimal digits.
  public var contentID: String
  /// The sum of its objects.
  public var size: ByteCount
  /// How many objects.
  public var objects: Int
  /// Where its manifest is in the store.
  public var manifestKey: String
  /// Where it came from; for people.
  public var source: String
  /// Where its objects are read in place, as an object store's location; nil where they are blobs in Baton's own store.
  public var origin: String?
  /// What it was made from, and what is different.
  public var parent: DatasetParent?

  /// A version.
  public init(
    project: ProjectID, name: String, contentID: String, size: ByteCount, objects: Int, manifestKey: String,
    source: String, origin: String? = nil, parent: DatasetParent? = nil
  ) {
    self.project = project
    self.name = name
    self.contentID = contentID
    self.size = size
    self.objects = objects
    self.manifestKey = manifestKey
    self.source = source
    self.origin = origin
    self.parent = parent
  }
}

/// The version that was the newest when another was added, and what is different in that.
public struct DatasetParent: Hashable, Sendable {
  /// Which.
  public var version: DatasetVersionID
  /// What is different in the one that was made from it.
  public var changes: ManifestChanges

  /// `changes` since `version`.
  public init(version: DatasetVersionID, changes: ManifestChanges) {
    self.version = version
    self.changes = changes
  }
}

/// How a version lies in tar shards.
public struct DatasetPack: Hashable, Sendable {
  /// Key of the pack's description in Baton's own store.
  public var key: String
  /// How many shards.
  public var shards: Int
  /// What they and their indices take.
  public var size: ByteCount

  /// A pack.
  public init(key: String, shards: Int, size: ByteCount) {
    self.key = key
    self.shards = shards
    self.size = size
  }
}

/// A version of a data set.
public struct DatasetVersionRecord: Hashable, Sendable {
  /// Which.
  public var id: DatasetVersionID
  /// Whose.
  public var project: ProjectID
  /// The data set's name.
  public var name: String
  /// Its number, from 1.
  public var version: Int
  /// SHA-256 of the manifest's canonical text.
  public var contentID: String
  /// The sum of its objects.
  public var size: ByteCount
  /// How many objects.
  public var objects: Int
  /// Where its manifest is in the store.
  public var manifestKey: String
  /// Where it came from.
  public var source: String
  /// Where its objects are read in place; nil where they are blobs in Baton's own store.
  public var origin: String?
  /// When it was added.
  public var createdAt: Timestamp
  /// Who added it, as `Actor.text` has it; nil where that is not known.
  public var addedBy: String?
  /// What it was made from; nil for a first version.
  public var parent: DatasetParent?
  /// How it is packed; nil where it is not.
  public var pack: DatasetPack?
  /// Who packed it, and when; nil where it is not.
  public var packed: Packing?

  /// Who packed a version, and when.
  public struct Packing: Hashable, Sendable {
    /// As `Actor.text` has it.
    public var by: String
    /// When it was done.
    public var at: Timestamp
  }

  static let columns: SQL = """
    v.id, d.project_id, d.name, v.version, v.content_id, v.total_bytes, v.object_count, v.manifest_key, v.source,
    v.created_at, v.origin, v.added_by, v.made_from_id, v.files_new, v.files_changed, v.files_gone, v.pack_key,
    v.pack_shards, v.pack_bytes, v.packed_by, v.packed_at
    """

  static let from: SQL = "dataset_version v JOIN dataset d ON d.id = v.dataset_id"

  init(row: Row) throws {
    id = try row.get("id")
    project = try row.get("project_id")
    name = try row.get("name")
    version = try row.get("version")
    contentID = try row.get("content_id")
    size = try row.get("total_bytes")
    objects = try row.get("object_count")
    manifestKey = try row.get("manifest_key")
    source = try row.get("source")
    createdAt = try row.get("created_at")
    origin = try row.get("origin")
    addedBy = try row.get("added_by")
    if let id = try row.get("made_from_id", as: DatasetVersionID?.self) {
      parent = DatasetParent(
        version: id,
        changes: ManifestChanges(
          new: try row.get("files_new"), changed: try row.get("files_changed"), gone: try row.get("files_gone")))
    }
    if let key = try row.get("pack_key", as: String?.self) {
      pack = DatasetPack(key: key, shards: try row.get("pack_shards"), size: try row.get("pack_bytes"))
      packed = Packing(by: try row.get("packed_by"), at: try row.get("packed_at"))
    }
  }
}

/// A job that was pinned to a version of a data set.
public struct DatasetUse: Hashable, Sendable {
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
}

extension Store {
  /// Adds a version of a data set, and the data set with its first; content that is there already gives the version
  /// that has it, and `isNew` false.
  ///
  /// Throws `.badName`.
  public func addDatasetVersion(
    _ request: NewDatasetVersion, by actor: Actor
  ) async throws -> (version: DatasetVersionRecord, isNew: Bool) {
    let (id, isNew) = try await named("dataset", request.name) {
      try await transaction { transaction in
        // The update that changes nothing locks the data set, so that versions are numbered one at a time.
        let dataset: Int64 = try await transaction.one(
          """
          INSERT INTO dataset (project_id, name) VALUES (\(request.project), \(request.name))
          ON CONFLICT (project_id, name) DO UPDATE SET name = excluded.name RETURNING id
          """
        ).get("id")
        let known = try await transaction.first(
          "SELECT id FROM dataset_version WHERE dataset_id = \(dataset) AND content_id = \(request.contentID)")
        if let known { return (try known.get("id", as: DatasetVersionID.self), false) }
        let id: DatasetVersionID = try await transaction.one(
          """
          INSERT INTO dataset_version (dataset_id, version, content_id, total_bytes, object_count, manifest_key, source,
            origin, added_by, made_from_id, files_new, files_changed, files_gone)
          SELECT \(dataset), coalesce(max(version), 0) + 1, \(request.contentID), \(request.size)::bigint,
            \(request.objects)::integer, \(request.manifestKey), \(request.source), \(request.origin)::text,
            \(actor.text), \(request.parent?.version)::bigint, \(request.parent?.changes.new)::integer,
            \(request.parent?.changes.changed)::integer, \(request.parent?.changes.gone)::integer
          FROM dataset_version WHERE dataset_id = \(dataset)
          RETURNING id
          """
        ).get("id")
        try await record(
          "dataset.add", Subject(id), project: request.project, by: actor, detail: ["name": request.name],
          in: transaction)
        return (id, true)
      }
    }
    return (try await datasetVersion(id), isNew)
  }

  /// The versions of every data set of a project, by name, newest first.
  public func datasets(project: ProjectID) async throws -> [DatasetVersionRecord] {
    try await pool.query(
      """
      SELECT \(DatasetVersionRecord.columns) FROM \(DatasetVersionRecord.from)
      WHERE d.project_id = \(project) ORDER BY d.name, v.version DESC
      """
    ).map(DatasetVersionRecord.init)
  }

  /// One version of a data set.
  ///
  /// Throws `.notFound`.
  public func datasetVersion(_ id: DatasetVersionID) async throws -> DatasetVersionRecord {
    let row = try await pool.first(
      "SELECT \(DatasetVersionRecord.columns) FROM \(DatasetVersionRecord.from) WHERE v.id = \(id)")
    guard let row else { throw StoreError.notFound(kind: "dataset", name: "\(id)") }
    return try DatasetVersionRecord(row: row)
  }

  /// The version of this number, or the newest, of a project's data set; nil where there is none.
  public func resolveDataset(
    _ name: String, version: Int? = nil, project: ProjectID
  ) async throws -> DatasetVersionRecord? {
    try await resolve(name, version: version, project: project, in: pool)
  }

  func resolve(
    _ name: String, version: Int?, project: ProjectID, in executor: some SQLExecutor
  ) async throws -> DatasetVersionRecord? {
    try await executor.first(
      """
      SELECT \(DatasetVersionRecord.columns) FROM \(DatasetVersionRecord.from)
      WHERE d.project_id = \(project) AND d.name = \(name)
        AND (\(version)::integer IS NULL OR v.version = \(version)::integer)
      ORDER BY v.version DESC LIMIT 1
      """
    ).map(DatasetVersionRecord.init)
  }

  /// The versions that a job was pinned to, by name.
  public func datasets(of job: JobID) async throws -> [DatasetVersionRecord] {
    try await pool.query(
      """
      SELECT \(DatasetVersionRecord.columns)
      FROM \(DatasetVersionRecord.from) JOIN job_dataset jd ON jd.dataset_version_id = v.id
      WHERE jd.job_id = \(job) ORDER BY d.name, v.version
      """
    ).map(DatasetVersionRecord.init)
  }

  /// Writes down that a version is packed; `.stale` where it was packed before.
  public func setPack(
    _ pack: DatasetPack, of version: DatasetVersionRecord, by actor: Actor
  ) async throws -> Guarded<DatasetVersionID> {
    try await transaction { transaction in
      let count = try await transaction.execute(
        """
        UPDATE dataset_version
        SET pack_key = \(pack.key), pack_shards = \(pack.shards), pack_bytes = \(pack.size),
          packed_by = \(actor.text), packed_at = clock_timestamp()
        WHERE id = \(version.id) AND pack_key IS NULL
        """)
      guard count == 1 else { return .stale }
      try await record(
        "dataset.pack", Subject(version.id), project: version.project, by: actor,
        detail: ["name": version.name, "shards": "\(pack.shards)"], in: transaction)
      return .done(version.id)
    }
  }

  /// The advisory locks of whoever packs: with the version's number any numbers, but only these.
  private static let packLock: Int64 = 0x6261_746F << 32

  /// Runs `body` unless somebody packs this version already, here or in another process; nil where somebody does.
  ///
  /// The turn ends with `body`, however that ends, and with the connection to the database. Holds one connection of the
  /// pool meanwhile.
  public func packing<Value: Sendable>(
    _ version: DatasetVersionID, _ body: () async throws -> Value
  ) async throws -> Value? {
    try await pool.withConnection { connection in
      guard try await connection.tryAdvisoryLock(Self.packLock | (version.rawValue & 0xFFFF_FFFF)) else { return nil }
      return try await body()
    }
  }

  /// Writes down that a version is wanted on all nodes of a lease: nothing evicts it there to make room.
  ///
  /// Asking again changes nothing.
  public func wantDataset(_ version: DatasetVersionRecord, on lease: LeaseID, by actor: Actor) async throws {
    try await transaction { transaction in
      let count = try await transaction.execute(
        """
        INSERT INTO lease_dataset (lease_id, dataset_version_id, wanted_by)
        VALUES (\(lease), \(version.id), \(actor.text)) ON CONFLICT DO NOTHING
        """)
      guard count == 1 else { return }
      try await record(
        "dataset.stage", Subject(version.id), project: version.project, by: actor,
        detail: ["name": version.name, "lease": "\(lease)"], in: transaction)
    }
  }

  /// Versions are not wanted any more on these leases.
  public func unwantDatasets(
    _ versions: [DatasetVersionRecord], on leases: [LeaseID], by actor: Actor
  ) async throws {
    try await transaction { transaction in
      try await transaction.execute(
        """
        DELETE FROM lease_dataset
        WHERE dataset_version_id = ANY (\(versions.map(\.id))::bigint[]) AND lease_id = ANY (\(leases)::bigint[])
        """)
      for version in versions {
        try await record(
          "dataset.evict", Subject(version.id), project: version.project, by: actor, detail: ["name": version.name],
          in: transaction)
      }
    }
  }

  /// Content ids of what is wanted on all nodes of a lease, in order.
  public func wantedContent(on lease: LeaseID) async throws -> [String] {
    try await pool.query(
      """
      SELECT DISTINCT v.content_id FROM lease_dataset w JOIN dataset_version v ON v.id = w.dataset_version_id
      WHERE w.lease_id = \(lease) ORDER BY v.content_id
      """
    ).map { try $0.get("content_id") }
  }

  /// Which jobs were pinned to each of `versions`, newest first; at most `limit` of each.
  public func jobs(
    using versions: [DatasetVersionID], limit: Int = 100
  ) async throws -> [DatasetVersionID: [DatasetUse]] {
    var uses: [DatasetVersionID: [DatasetUse]] = [:]
    for row in try await pool.query(
      """
      SELECT u.dataset_version_id, j.id, j.name, j.state, j.submitted_at, p.name AS user_name
      FROM unnest(\(versions)::bigint[]) AS w (id)
      CROSS JOIN LATERAL (SELECT jd.dataset_version_id, jd.job_id FROM job_dataset jd
        WHERE jd.dataset_version_id = w.id ORDER BY jd.job_id DESC LIMIT \(limit)) u
      JOIN job j ON j.id = u.job_id JOIN app_user p ON p.id = j.user_id ORDER BY j.id DESC
      """)
    {
      uses[try row.get("dataset_version_id"), default: []].append(
        DatasetUse(
          job: try row.get("id"), name: try row.get("name"), state: try row.get("state"),
          user: try row.get("user_name"),
          submittedAt: try row.get("submitted_at")))
    }
    return uses
  }

  /// Writes down that a project has sent this object.
  public func addBlob(_ sha256: String, project: ProjectID) async throws {
    _ = try await pool.execute(
      "INSERT INTO project_blob (project_id, sha256) VALUES (\(project), \(sha256)) ON CONFLICT DO NOTHING")
  }

  /// Those of `sha256` that a project has sent.
  public func blobs(_ sha256: [String], sentBy project: ProjectID) async throws -> Set<String> {
    let rows = try await pool.query(
      "SELECT sha256 FROM project_blob WHERE project_id = \(project) AND sha256 = ANY (\(sha256)::text[])")
    return Set(try rows.map { try $0.get("sha256", as: String.self) })
  }
}
