import Domain
import Postgres
import Store
import TestKit
import Testing

/// A store in a fresh database with one project, one user and a controller; what every test begins with.
struct StoreFixture: Sendable {
  let store: Store
  let database: TestDatabase
  let project: ProjectID
  let user: UserID
  let epoch: ControllerEpoch
  let actor = Actor.user("ada")

  var pool: PostgresPool { database.pool }

  /// The repository's migrations, wherever it is checked out.
  static let migrations = MigrationSource.directory(repository + "/migrations")

  static let repository = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    .joined(separator: "/")

  private static let template = Task {
    try await PostgresFixture.makeTemplate(named: "store_schema") { pool in
      _ = try await Store(pool).migrate(from: migrations)
    }
  }

  /// Lends a store to `body`, and looks at every invariant when it has returned.
  static func with(_ body: (StoreFixture) async throws -> Void) async throws {
    try await PostgresFixture.withDatabase(template: template.value) { database in
      let store = Store(database.pool)
      let epoch = try await store.takeControl(holder: "test", patience: .seconds(60))
      let fixture = StoreFixture(
        store: store, database: database, project: try await store.ensureProject("vision"),
        user: try await store.ensureUser("ada"), epoch: try #require(epoch.value))
      try await body(fixture)
      let violations = try await store.invariantViolations()
      #expect(violations == [])
    }
  }

  /// A node that a probe found, with `gpus` GPUs.
  func node(_ name: String, gpus: Int = 2, type: String = "gpu_a100") async throws -> NodeID {
    let node = try await store.addNode(.test(name, type: type), by: actor)
    _ = try await store.updateNode(node.id, facts: .test(gpus: gpus), by: epoch)
    return node.id
  }

  /// A lease on `nodes` that is ACTIVE and has two hours left.
  func lease(_ name: String, _ nodes: [NodeID]) async throws -> LeaseRecord {
    try await store.createLease(
      NewLease(name: name, project: project, end: .after(.hours(2)), nodes: .these(nodes)), by: actor)
  }

  /// A job that waits.
  func job(
    _ name: String = "train", from checkpoint: CheckpointID? = nil, _ edit: (inout JobSpec) -> Void = { _ in }
  ) async throws -> JobID {
    var spec = JobSpec(name: name, command: ["train"])
    edit(&spec)
    let submission = JobSubmission(
      project: project, user: user, spec: spec, specText: "name: \(name)", startCheckpoint: checkpoint)
    return try await store.submit(submission, by: actor).job.id
  }

  /// An attempt of `job` that is STAGING on `gpus` of each of the lease's nodes.
  func start(_ job: JobID, _ lease: LeaseRecord, gpus: [Int] = [0]) async throws -> AttemptRecord {
    let shares = lease.nodes.map { Placement.Share(node: $0, gpus: gpus) }
    let start = Start(job: job, lease: lease.id, placement: Placement(shares: shares))
    return try #require(try await store.start(start, by: epoch).value)
  }

  /// An attempt of `job` that is RUNNING.
  func run(_ job: JobID, _ lease: LeaseRecord, gpus: [Int] = [0]) async throws -> AttemptRecord {
    let attempt = try await start(job, lease, gpus: gpus)
    try #require(try await store.markLaunching(attempt.id, masterPort: 29_500, by: epoch).value == attempt.id)
    try #require(try await store.markRunning(attempt.id, by: epoch).value == attempt.id)
    return try await store.attempt(attempt.id)
  }

  /// Ends an attempt of which everything is known.
  func end(_ attempt: AttemptID, _ outcome: AttemptOutcome, exitCode: Int? = nil) async throws -> JobFate {
    let ending = AttemptEnding(attempt: attempt, outcome: outcome, exitCode: exitCode, isSettled: true)
    return try #require(try await store.endAttempt(ending, by: epoch).value).fate
  }

  /// A checkpoint that was read back.
  func commit(_ attempt: AttemptID, step: Int64) async throws -> CommitResult {
    try #require(try await store.commitCheckpoint(.test(attempt, step: step), by: epoch).value)
  }

  /// Points of `loss` at `steps`, whose values are `value` of the step, read from the file's `offset` on.
  func ingest(
    _ attempt: AttemptRecord, _ steps: [Int64], from offset: Int64, value: (Int64) -> Double = Double.init
  ) async throws -> Guarded<Int> {
    let now = try await store.now()
    let points = steps.map { MetricPoint(metric: "loss", step: $0, value: value($0), recordedAt: now) }
    let batch = MetricBatch(
      attempt: attempt.id, node: try #require(attempt.nodes.first).node, fromOffset: offset,
      toOffset: offset + Int64(steps.count), points: points, journalSequence: offset + 1)
    return try await store.ingest(batch, by: epoch)
  }

  /// Lets the lease's time run out now.
  func expire(_ lease: LeaseID) async throws {
    try await pool.withTransaction { transaction in
      try await transaction.execute("SELECT id FROM lease WHERE id = \(lease) FOR UPDATE")
      try await transaction.execute(
        """
        UPDATE lease SET period = tstzrange(lower(period), clock_timestamp())
        WHERE id = \(lease) AND state IN ('PENDING', 'ACTIVE', 'ENDING')
        """)
    }
  }

  /// What a probe of `node` finds of data sets, and nothing changes meanwhile.
  func hold(_ node: NodeID, verified: [String], unverified: [String]) async throws -> Guarded<Int> {
    try await store.setHoldings(
      node: node, verified: verified, unverified: unverified, since: store.node(node).replicasRevision, by: epoch)
  }

  /// What the planner sees on the first node.
  func replicas() async throws -> Set<DatasetVersionID> {
    let nodes = try await store.snapshot().snapshot.nodes
    return nodes.first?.replicas ?? []
  }

  /// A number that `sql` gives in its column `n`.
  func number(_ sql: SQL) async throws -> Int {
    try #require(try await pool.query(sql).first).get("n")
  }
}

extension NewNode {
  static func test(_ name: String, type: String = "gpu_a100") -> NewNode {
    NewNode(
      name: name, address: "127.0.1.1", sshUser: "cc", hostKey: "ssh-ed25519 AAAA", rootPath: "/srv/baton",
      nodeType: type)
  }
}

extension NodeFacts {
  static func test(gpus: Int) -> NodeFacts {
    NodeFacts(
      diskTotal: .gibibytes(100), diskFree: .gibibytes(50), cores: 8, memory: .gibibytes(64), agentVersion: "1",
      gpus: (0..<gpus).map {
        GPURecord(index: $0, model: "stand-in", memory: .gibibytes(40), uuid: "GPU-\($0)", isStandIn: true)
      }, other: ["kernel": "6.1"])
  }
}

extension CheckpointCommit {
  static func test(_ attempt: AttemptID, step: Int64, hash: Character = "a") -> CheckpointCommit {
    CheckpointCommit(
      attempt: attempt, step: step, manifestHash: String(repeating: hash, count: 64), size: .mebibytes(10),
      objectPrefix: "\(attempt)/step-\(step)", saveTime: .seconds(4), uploadTime: .seconds(16))
  }
}

/// The code of the PostgresError that `body` throws; nil for none.
func postgresCode(_ body: () async throws -> Void) async throws -> PostgresError.Code? {
  do {
    try await body()
    return nil
  } catch let error as PostgresError {
    return error.code
  }
}
