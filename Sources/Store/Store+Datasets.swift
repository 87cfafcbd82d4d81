public import Domain
public import Postgres

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

  /// A version.
  public init(
    project: ProjectID, name: String, contentID: String, size: ByteCount, objects: Int, manifestKey: String,
    source: String
  ) {
    self.project = project
    self.name = name
    self.contentID = contentID
    self.size = size
    self.objects = objects
    self.manifestKey = manifestKey
    self.source = source
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
  /// When it was added.
  public var createdAt: Timestamp

  static let columns: SQL = """
    v.id, d.project_id, d.name, v.version, v.content_id, v.total_bytes, v.object_count, v.manifest_key, v.source,
    v.created_at
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
  }
}

/// Where a copy of a data set stands.
public enum ReplicaState: String, Hashable, Sendable, CaseIterable, SQLBindable, SQLDecodable {
  /// On its way to the node.
  case staging = "STAGING"
  /// There, and what its manifest says.
  case verified = "VERIFIED"
  /// There, and not what its manifest says.
  case corrupt = "CORRUPT"
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
          INSERT INTO dataset_version (dataset_id, version, content_id, total_bytes, object_count, manifest_key, source)
          SELECT \(dataset), coalesce(max(version), 0) + 1, \(request.contentID), \(request.size)::bigint,
            \(request.objects)::integer, \(request.manifestKey), \(request.source)
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

  /// Writes down where the copy of a version on a node stands; `verified` also says when.
  public func setReplica(
    node: NodeID, version: DatasetVersionID, state: ReplicaState, by epoch: ControllerEpoch
  ) async throws -> Guarded<NodeID> {
    try await controlled(by: epoch) { transaction in
      try await transaction.execute(
        """
        INSERT INTO replica (node_id, dataset_version_id, state, verified_at)
        VALUES (\(node), \(version), \(state),
          CASE WHEN \(state)::text = 'VERIFIED' THEN clock_timestamp() END)
        ON CONFLICT (node_id, dataset_version_id) DO UPDATE
        SET state = excluded.state, verified_at = excluded.verified_at
        """)
      return .done(node)
    }
  }

  /// Forgets the copy of a version on a node: it was removed, or the disk was wiped.
  public func removeReplica(
    node: NodeID, version: DatasetVersionID, by epoch: ControllerEpoch
  ) async throws -> Guarded<NodeID> {
    try await controlled(by: epoch) { transaction in
      let count = try await transaction.execute(
        "DELETE FROM replica WHERE node_id = \(node) AND dataset_version_id = \(version)")
      return count == 1 ? .done(node) : .stale
    }
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
