import Domain
import Postgres
import Store
import TestKit
import Testing

@Suite(.timeLimit(.minutes(5))) struct SnapshotTests {
  @Test func showsWhatARoundLooksAt() async throws {
    try await StoreFixture.with { f in
      let nodes = try await [f.node("n1", gpus: 4), f.node("n2", gpus: 0, type: "cpu")]
      _ = try await f.store.drainNode(nodes[1], reason: "fan", by: f.actor)
      let lease = try await f.lease("exp", [nodes[0]])
      let over = try await f.lease("over", [nodes[1]])
      _ = try await f.store.deleteLease(over.id, by: f.actor)
      let version = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version
      _ = try await f.store.setReplica(node: nodes[0], version: version.id, state: .verified, by: f.epoch)
      let waiting = try await f.job("waiting") { $0.data = [DataRequest(name: "digits")] }
      let running = try await f.job("running")
      let attempt = try await f.run(running, lease, gpus: [1, 3])
      let (snapshot, takenAt) = try await f.store.snapshot()
      #expect(takenAt <= (try await f.store.now()))
      #expect(snapshot.nodes.map(\.id) == nodes)
      #expect(snapshot.nodes.map(\.gpuCount) == [4, 0])
      #expect(snapshot.nodes.map(\.isDrained) == [false, true])
      #expect(snapshot.nodes.map(\.diskFree) == [.gibibytes(48), .gibibytes(48)])
      #expect(snapshot.nodes.first?.replicas == [version.id])
      #expect(snapshot.leases.map(\.id) == [lease.id])
      #expect(snapshot.leases.first?.period == lease.period)
      #expect(snapshot.leases.first?.nodes == [nodes[0]])
      #expect(snapshot.waiting.map(\.id) == [waiting])
      #expect(snapshot.waiting.first?.needs == StartNeeds(data: [version.id: .mebibytes(5)]))
      #expect(
        snapshot.attempts == [
          LiveAttempt(
            id: attempt.id, job: running, lease: lease.id,
            placement: Placement(shares: [.init(node: nodes[0], gpus: [1, 3])]))
        ])
    }
  }

  @Test func learnsWhatAJobNeedsFromItsCheckpoints() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let attempt = try await f.run(job, lease)
      _ = try await f.commit(attempt.id, step: 1)
      _ = try await f.end(attempt.id, .lost)
      let needs = try #require(try await f.store.snapshot().snapshot.waiting.first).needs
      #expect(needs.restore == .mebibytes(10))
      #expect(needs.checkpointRoom == .mebibytes(20))
      #expect(needs.lastSave == .seconds(81))
    }
  }

  @Test func learnsHowFastDataCome() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let lease = try await f.lease("exp", [node])
      let attempt = try await f.start(f.job(), lease)
      _ = try await f.job("waits")
      func rate() async throws -> Double? { try await f.store.snapshot().snapshot.waiting.first?.needs.stagingRate }
      func measure(_ brought: ByteCount?, _ seconds: Double, _ attempt: AttemptID? = nil) async throws {
        let written = try await f.store.recordStaging(
          node: node, attempt: attempt, brought: brought, took: .seconds(seconds), by: f.epoch)
        #expect(written == .done(node))
      }
      // What says nothing of the rate counts for nothing.
      try await measure(nil, 1)
      try await measure(.mebibytes(1), 0.1)
      #expect(try await rate() == StartNeeds().stagingRate)
      // A journal that is read again is no other staging.
      for _ in 1...3 { try await measure(.mebibytes(100), 1, attempt.id) }
      #expect(try await f.number("SELECT count(*)::integer AS n FROM staging_measure") == 1)
      #expect(try await rate() == Double(ByteCount.mebibytes(100).bytes))
      for _ in 1...4 { try await measure(.mebibytes(200), 1) }
      #expect(try await rate() == Double(ByteCount.mebibytes(180).bytes), "four of five were faster")
      // The newest count, and few are kept.
      for _ in 1...120 { try await measure(.mebibytes(50), 1) }
      #expect(try await rate() == Double(ByteCount.mebibytes(50).bytes))
      #expect(try await f.store.stagingRate() == rate())
      #expect(try await f.number("SELECT count(*)::integer AS n FROM staging_measure") == 100)
    }
  }

  @Test func takesTheRoomThatStagingWillFillFromTheDisk() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1", gpus: 4)
      let lease = try await f.lease("exp", [node])
      let version = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version
      func free() async throws -> ByteCount? {
        let (snapshot, _) = try await f.store.snapshot()
        return snapshot.nodes.first?.diskFree
      }
      let room = ByteCount.gibibytes(48)
      #expect(try await free() == room)
      func job(_ name: String) async throws -> JobID {
        try await f.job(name) {
          $0.data = [DataRequest(name: "digits")]
          $0.resources.localDisk = .mebibytes(100)
        }
      }
      let first = try await job("first")
      let saved = try await f.run(first, lease, gpus: [0])
      _ = try await f.commit(saved.id, step: 5)
      _ = try await f.end(saved.id, .lost)
      // The data set, 100 MiB, and three checkpoints of 10 MiB: one to go on from, two of its own.
      let one = try await f.start(first, lease, gpus: [0])
      #expect(try await free() == room - .mebibytes(5 + 100 + 30))
      // The data set comes but once.
      _ = try await f.start(job("second"), lease, gpus: [1])
      #expect(try await free() == room - .mebibytes(5 + 100 + 30 + 100))
      _ = try await f.store.setReplica(node: node, version: version.id, state: .verified, by: f.epoch)
      #expect(try await free() == room - .mebibytes(100 + 30 + 100))
      // What is staged has been written, and the next probe measures it.
      _ = try await f.store.markLaunching(one.id, masterPort: 29_500, by: f.epoch)
      #expect(try await free() == room - .mebibytes(100))
    }
  }

  @Test func countsWhatANodeWouldEvictOnceAProbeHasMeasuredBesideIt() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1", gpus: 4)
      let lease = try await f.lease("exp", [node])
      let other = try await f.store.ensureProject("audio")
      let old = try await f.store.addDatasetVersion(.test(f.project, "old", "1"), by: f.actor).version
      let alias = try await f.store.addDatasetVersion(.test(other, "same", "1"), by: f.actor).version
      let digits = try await f.store.addDatasetVersion(.test(f.project, "digits", "2"), by: f.actor).version
      func seen() async throws -> [EvictableReplica] {
        let (snapshot, _) = try await f.store.snapshot()
        return snapshot.nodes.first?.evictable ?? []
      }
      func probe() async throws { _ = try await f.store.updateNode(node, facts: .test(gpus: 4), by: f.epoch) }
      for version in [old, digits] {
        _ = try await f.store.setReplica(node: node, version: version.id, state: .verified, by: f.epoch)
      }
      #expect(try await seen().isEmpty, "what was measured before they came has their room as free")
      try await probe()
      let both = [
        EvictableReplica(versions: [old.id, alias.id], size: .mebibytes(5)),
        EvictableReplica(versions: [digits.id], size: .mebibytes(5)),
      ]
      #expect(try await seen() == both)
      // An attempt that lives, or of which the last word was not heard, uses what its job reads.
      let job = try await f.job { $0.data = [DataRequest(name: "digits")] }
      let attempt = try await f.run(job, lease)
      #expect(try await seen() == [both[0]])
      let lost = AttemptEnding(attempt: attempt.id, outcome: .lost, isSettled: false)
      _ = try await f.store.endAttempt(lost, by: f.epoch)
      #expect(try await seen() == [both[0]])
      _ = try await f.store.markSettled(attempt.id, by: f.epoch)
      #expect(try await seen() == both)
      // What somebody wants on the lease stays there, whoever calls it what.
      try await f.store.wantDataset(alias, on: lease.id, by: f.actor)
      #expect(try await seen() == [both[1]])
      try await f.store.unwantDatasets([alias], on: [lease.id], by: f.actor)
      #expect(try await seen() == both)
      _ = try await f.store.setReplica(node: node, version: old.id, state: .corrupt, by: f.epoch)
      #expect(try await seen() == [both[1]])
    }
  }

  @Test func countsOnNoEvictionWhereAnAgentFoundTooLittleToEvictShortlyBefore() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let lease = try await f.lease("exp", [node])
      let old = try await f.store.addDatasetVersion(.test(f.project, "old", "1"), by: f.actor).version
      _ = try await f.store.setReplica(node: node, version: old.id, state: .verified, by: f.epoch)
      func probe() async throws { _ = try await f.store.updateNode(node, facts: .test(gpus: 2), by: f.epoch) }
      func count() async throws -> Int? {
        let (snapshot, _) = try await f.store.snapshot()
        return snapshot.nodes.first?.evictable.count
      }
      try await probe()
      #expect(try await count() == 1)
      let attempt = try await f.start(f.job(), lease)
      let heard = try await f.store.recordContact(
        attempt.id, node: node, agentState: AttemptNodeRecord.noRoom, journalSequence: 3, by: f.epoch)
      #expect(heard == .done(attempt.id))
      _ = try await f.end(attempt.id, .stagingFailed)
      #expect(try await count() == 0)
      try await probe()
      #expect(try await count() == 0, "a probe does not tell what the agent would evict")
      _ = try await f.pool.withTransaction { transaction in
        try await transaction.execute(
          "UPDATE attempt_node SET last_contact_at = clock_timestamp() - interval '1 hour'")
      }
      #expect(try await count() == 1)
    }
  }

  @Test func tellsRoomThatStagingTakesAndThatHasYetToBeMade() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let lease = try await f.lease("exp", [node])
      _ = try await f.store.setDiskFree(node, .gibibytes(3), by: f.epoch)
      _ = try await f.start(f.job { $0.resources.localDisk = .gibibytes(4) }, lease)
      let seen = try #require(try await f.store.snapshot().snapshot.nodes.first)
      // A fiftieth of 100 GiB stays free.
      #expect(seen.diskFree == .zero && seen.diskOwed == .gibibytes(3))
    }
  }

  @Test func wakesDaemonsWithWhatHasChanged() async throws {
    try await StoreFixture.with { f in
      let listener = PostgresListener(f.database.conninfo, channels: ["baton"])
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await listener.run() }
        var events = listener.events.makeAsyncIterator()
        #expect(await events.next() == .reconnected)
        let node = try await f.node("n1")
        let job = try await f.job()
        // A reason wakes nobody; the hold after it does.
        _ = try await f.store.setReasons([job: .noLease], by: f.epoch)
        _ = try await f.store.holdJob(job, by: f.actor)
        let wanted = ["node:\(node.rawValue)", "job:\(job.rawValue)"]
        var heard: Set<String> = []
        while heard.count < wanted.count, let event = await events.next() {
          if case .notification(let notification) = event { heard.insert(notification.payload) }
        }
        #expect(heard == Set(wanted))
        group.cancelAll()
      }
    }
  }
}

@Suite(.timeLimit(.minutes(5))) struct InvariantTests {
  /// Each breaks one promise behind the back of every constraint and trigger that a session can switch off.
  @Test(
    arguments: [
      "UPDATE attempt_gpu SET live = false", "UPDATE lease SET state = 'TERMINATED', terminated_at = clock_timestamp()",
      "DELETE FROM run", "UPDATE checkpoint SET state = 'CORRUPT'", "UPDATE job SET state = 'RUNNING'",
      "UPDATE attempt SET controller_epoch = 99", "UPDATE lease_node SET period = tstzrange(now(), now() + '1 hour')",
    ] as [SQL])
  func findsWhatConstraintsWereSwitchedOffFor(damage: SQL) async throws {
    try await PostgresFixture.withDatabase { database in
      let store = Store(database.pool)
      _ = try await store.migrate(from: StoreFixture.migrations)
      let epoch = try #require(try await store.takeControl(holder: "test", patience: .zero).value)
      let f = StoreFixture(
        store: store, database: database, project: try await store.ensureProject("vision"),
        user: try await store.ensureUser("ada"), epoch: epoch)
      let attempt = try await f.start(f.job(), f.lease("exp", [f.node("n1")]))
      _ = try await f.commit(attempt.id, step: 1)
      #expect(try await store.invariantViolations() == [])
      try await database.pool.withTransaction { transaction in
        try await transaction.execute("SET LOCAL session_replication_role = replica")
        try await transaction.execute(damage)
      }
      #expect(try await !store.invariantViolations().isEmpty)
    }
  }

  @Test func tellsSomePlacesAndHowManyMoreThereAre() async throws {
    try await PostgresFixture.withDatabase { database in
      let store = Store(database.pool)
      _ = try await store.migrate(from: StoreFixture.migrations)
      try await database.pool.withTransaction { transaction in
        try await transaction.execute("SET LOCAL session_replication_role = replica")
        try await transaction.execute(
          """
          INSERT INTO metric_point (job_id, metric, step, value, attempt_number, recorded_at)
          SELECT 1, 'loss', s, 0, s, clock_timestamp() FROM generate_series(1, 50) s
          """)
      }
      let found = try await store.invariantViolations(most: 3)
        .filter { $0.invariant == "every value was computed by an attempt of its job" }
      #expect(found.count == 3)
      #expect(found.last?.found.hasSuffix(", and 47 more places") == true, "\(found)")
    }
  }
}
