import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct IdentityTests {
  private let hash = String(repeating: "0f", count: 32)

  @Test func aTokenSaysWhoActsWhereAndByWhatRight() async throws {
    try await StoreFixture.with { f in
      #expect(try await f.store.ensureProject("vision") == f.project)
      #expect(try await f.store.ensureUser("ada") == f.user)
      #expect(try await f.store.project(named: "vision") == f.project)
      #expect(try await f.store.project(named: "nobody") == nil)
      let token = try await f.store.createToken(
        user: f.user, project: f.project, role: .admin, secretHash: hash, by: .admin)
      let principal = try #require(try await f.store.authenticate(secretHash: hash))
      #expect(principal.user == f.user)
      #expect(principal.projectName == "vision")
      #expect(principal.role == .admin)
      #expect(principal.actor == .user("ada"))
      #expect(try await f.store.authenticate(secretHash: String(repeating: "0", count: 64)) == nil)
      #expect(try await f.store.tokens(project: f.project).map(\.principal.token) == [token])
    }
  }

  @Test func aRevokedOrExpiredTokenIsNoToken() async throws {
    try await StoreFixture.with { f in
      let token = try await f.store.createToken(
        user: f.user, project: f.project, role: .user, secretHash: hash, expiresAt: f.store.now() + .hours(1),
        by: f.actor)
      try await f.pool.execute(
        "UPDATE token SET created_at = created_at - interval '1 day', expires_at = clock_timestamp()")
      #expect(try await f.store.authenticate(secretHash: hash) == nil)
      try await f.pool.execute("UPDATE token SET expires_at = NULL")
      #expect(try await f.store.authenticate(secretHash: hash) != nil)
      #expect(try await f.store.revokeToken(token, by: f.actor) == .done(token))
      #expect(try await f.store.authenticate(secretHash: hash) == nil)
      #expect(try await f.store.revokeToken(token, by: f.actor) == .stale)
    }
  }

  @Test func refusesANameThatIsNone() async throws {
    try await StoreFixture.with { f in
      await #expect(throws: StoreError.badName(kind: "project", name: "a b")) {
        try await f.store.ensureProject("a b")
      }
      await #expect(throws: StoreError.badName(kind: "user", name: "")) { try await f.store.ensureUser("") }
    }
  }
}

@Suite(.timeLimit(.minutes(5))) struct EventTests {
  @Test func listsNewestFirstByPageAndFilter() async throws {
    try await StoreFixture.with { f in
      let job = try await f.job()
      _ = try await f.store.holdJob(job, by: f.actor)
      _ = try await f.store.releaseJob(job, by: .user("grace"))
      var filter = EventFilter()
      filter.subject = Subject(job)
      let events = try await f.store.events(filter)
      #expect(events.map(\.action) == ["job.release", "job.hold", "job.submit"])
      #expect(events.first?.actor == "user:grace")
      #expect(events.last?.detail == ["name": "train"])
      filter.before = events.first?.id
      #expect(try await f.store.events(filter, limit: 1).map(\.action) == ["job.hold"])
      // Whoever reads on gets what comes next, and not what is newest.
      filter.before = nil
      filter.after = events.last?.id
      #expect(try await f.store.events(filter, limit: 1).map(\.id) == [events[events.count - 2].id])
      #expect(try await f.store.events(filter).map(\.id) == events.dropLast().map(\.id))
      filter = EventFilter()
      filter.project = f.project
      filter.action = "job"
      #expect(try await f.store.events(filter).count == 3)
      filter.action = "jo"
      #expect(try await f.store.events(filter).isEmpty)
    }
  }

  @Test(arguments: ["UPDATE event SET actor = 'nobody'", "DELETE FROM event", "TRUNCATE event"] as [SQL])
  func theAuditLogIsAppendOnly(statement: SQL) async throws {
    try await StoreFixture.with { f in
      _ = try await f.job()
      #expect(try await postgresCode { try await f.pool.execute(statement) } == .checkViolation)
    }
  }
}

@Suite(.timeLimit(.minutes(5))) struct ControllerTests {
  @Test func oneDecidesAtATime() async throws {
    try await StoreFixture.with { f in
      #expect(try await f.store.takeControl(holder: "other", patience: .seconds(60)) == .stale)
      #expect(try await f.store.heartbeat(f.epoch))
      let again = try #require(try await f.store.takeControl(holder: "test", patience: .seconds(60)).value)
      #expect(again > f.epoch)
      #expect(try await !f.store.heartbeat(f.epoch))
      let other = try #require(try await f.store.takeControl(holder: "other", patience: .zero).value)
      #expect(try await f.store.controller().holder == "other")
      #expect(try await f.store.releaseControl(other))
      #expect(try await !f.store.releaseControl(other))
      #expect(try await f.store.controller().epoch == other)
      #expect(try await f.store.takeControl(holder: "third", patience: .hours(1)).value != nil)
    }
  }

  @Test func ofManyThatReachForItOneGetsIt() async throws {
    try await StoreFixture.with { f in
      _ = try await f.store.releaseControl(f.epoch)
      let winners = try await withThrowingTaskGroup(of: Bool.self) { group in
        for number in 0..<6 {
          group.addTask {
            try await f.store.takeControl(holder: "daemon-\(number)", patience: .hours(1)).value != nil
          }
        }
        return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
      }
      #expect(winners == 1)
    }
  }

  @Test func theEpochNeverGoesBack() async throws {
    try await StoreFixture.with { f in
      for statement in ["UPDATE controller SET epoch = epoch - 1", "DELETE FROM controller"] as [SQL] {
        let code = try await postgresCode { try await f.pool.execute(statement) }
        #expect(code == .checkViolation)
      }
    }
  }

  @Test func aStaleEpochChangesNothing() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let lease = try await f.lease("exp", [node])
      let running = try await f.job()
      let attempt = try await f.run(running, lease)
      let committed = try await f.commit(attempt.id, step: 1)
      let waiting = try await f.job("second")
      _ = try #require(try await f.store.takeControl(holder: "new", patience: .zero).value)
      let before = try await f.contents()
      let stale = f.epoch
      let start = Start(
        job: waiting, lease: lease.id, placement: Placement(shares: [.init(node: node, gpus: [1])]))
      #expect(try await f.store.start(start, by: stale).isStale)
      #expect(try await f.store.markCheckpointing(attempt.id, by: stale).isStale)
      #expect(try await f.store.markLaunching(attempt.id, masterPort: 1, by: stale).isStale)
      #expect(try await f.store.markRunning(attempt.id, by: stale).isStale)
      let ending = AttemptEnding(attempt: attempt.id, outcome: .failed)
      #expect(try await f.store.endAttempt(ending, by: stale).isStale)
      #expect(try await f.ingest(attempt, [1], from: 0).isStale)
      #expect(try await f.store.commitCheckpoint(.test(attempt.id, step: 2), by: stale).isStale)
      #expect(
        try await f.store.registerCheckpoint(attempt.id, step: 3, state: .local, size: .zero, by: stale).isStale)
      #expect(try await f.store.markPruned(committed.checkpoint, by: .controller(stale)).isStale)
      #expect(try await f.store.setReasons([waiting: .noLease], by: stale).isStale)
      #expect(try await f.store.updateNode(node, facts: .test(gpus: 0), by: stale).isStale)
      #expect(try await f.store.setNodeState(node, to: .suspect, by: stale).isStale)
      #expect(try await f.store.activateDueLeases(by: stale).isStale)
      #expect(try await f.store.markEndingLeases(lead: .hours(9), by: stale).isStale)
      #expect(try await f.store.recordSweep(startedAt: f.store.now(), report: "{}", by: stale).isStale)
      #expect(try await f.store.markSettled(attempt.id, by: stale).isStale)
      #expect(
        try await f.store.recordContact(
          attempt.id, node: node, agentState: "x", journalSequence: 9, by: stale
        ).isStale)
      #expect(try await f.contents() == before)
    }
  }
}

extension StoreFixture {
  /// Everything in every table, as text.
  func contents() async throws -> [String] {
    var lines: [String] = []
    let tables = try await pool.query(
      "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1")
    for table in tables {
      let name: String = try table.get("relname")
      lines += try await pool.query("SELECT t::text AS line FROM \(identifier: name) t ORDER BY 1")
        .map { try $0.get("line") }
    }
    return lines
  }
}
