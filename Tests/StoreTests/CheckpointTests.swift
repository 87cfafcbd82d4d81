import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct CheckpointTests {
  @Test func goesFromTheNodeToTheStoreAndBecomesLatest() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      func register(_ state: CheckpointState) async throws -> Guarded<CheckpointID> {
        try await f.store.registerCheckpoint(
          attempt.id, step: 10, state: state, size: .mebibytes(10), isFinal: true, by: f.epoch)
      }
      let id = try #require(try await register(.local).value)
      #expect(try await register(.uploading) == .done(id))
      #expect(try await register(.local) == .stale)
      #expect(try await register(.durable) == .stale)
      #expect(try await f.store.job(attempt.job).latestCheckpoint == nil)
      for _ in 0..<2 {
        let result = try await f.commit(attempt.id, step: 10)
        #expect(result.checkpoint == id && result.isLatest)
      }
      #expect(try await register(.uploading) == .stale)
      let job = try await f.store.job(attempt.job)
      #expect(job.latestCheckpoint == id)
      #expect(job.latestStep == 10)
      let checkpoint = try await f.store.checkpoint(id)
      #expect(checkpoint.state == .durable)
      #expect(checkpoint.isFinal)
      #expect(checkpoint.saveTime == .seconds(4))
      #expect(try await f.store.checkpoints(of: attempt.job) == [checkpoint])
      let other = CheckpointCommit.test(attempt.id, step: 10, hash: "b")
      #expect(try await f.store.commitCheckpoint(other, by: f.epoch).isStale)
      #expect(try await f.commit(attempt.id, step: 9).isLatest == false)
    }
  }

  @Test func anOlderAttemptNeverMovesLatest() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let old = try await f.run(job, lease)
      let first = try await f.commit(old.id, step: 10)
      _ = try await f.end(old.id, .lost)
      let new = try await f.run(job, lease)
      #expect(new.resumeCheckpoint == first.checkpoint)
      let late = try await f.commit(old.id, step: 20)
      #expect(!late.isLatest)
      #expect(try await f.store.job(job).latestCheckpoint == first.checkpoint)
      #expect(try await f.commit(new.id, step: 15).isLatest)
      #expect(try await f.store.job(job).latestStep == 15)
    }
  }

  @Test func fallsBackToTheOneBeforeACorruptOne() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      let first = try await f.commit(attempt.id, step: 10).checkpoint
      let second = try await f.commit(attempt.id, step: 20).checkpoint
      let third = try await f.commit(attempt.id, step: 30).checkpoint
      #expect(try await f.store.markCorrupt(second, detail: "a flipped byte", by: f.actor) == .done(third))
      #expect(try await f.store.markCorrupt(third, detail: "another", by: f.actor) == .done(first))
      #expect(try await f.store.job(attempt.job).latestCheckpoint == first)
      #expect(try await f.store.markCorrupt(third, detail: "again", by: f.actor) == .stale)
      #expect(try await f.store.commitCheckpoint(.test(attempt.id, step: 30), by: f.epoch).isStale)
      #expect(try await f.store.markCorrupt(first, detail: "all", by: f.actor) == .done(nil))
      #expect(try await f.store.job(attempt.job).latestCheckpoint == nil)
      await #expect(throws: StoreError.notFound(kind: "checkpoint", name: "checkpoint-99")) {
        try await f.store.markCorrupt(CheckpointID(99), detail: "", by: f.actor)
      }
    }
  }

  @Test func aControllerWhoseTurnIsOverMarksNothingCorruptAndPurgesNothing() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1"), f.node("n2")]))
      let checkpoint = try await f.commit(attempt.id, step: 10).checkpoint
      let node = try #require(attempt.nodes.first).node
      let other = try await f.node("n3")
      #expect(try await f.store.mayPurge(attempt.id, on: node, by: f.epoch) == .done(false))
      _ = try await f.end(attempt.id, .lost)
      #expect(try await f.store.mayPurge(attempt.id, on: node, by: f.epoch) == .done(true))
      #expect(try await f.store.mayPurge(attempt.id, on: other, by: f.epoch) == .done(false))
      #expect(try await f.store.mayPurge(AttemptID(99), on: node, by: f.epoch) == .done(false))
      let next = try #require(try await f.store.takeControl(holder: "test", patience: .zero).value)
      #expect(try await f.store.mayPurge(attempt.id, on: node, by: f.epoch) == .stale)
      #expect(try await f.store.markCorrupt(checkpoint, detail: "old", by: .controller(f.epoch)) == .stale)
      #expect(try await f.store.job(attempt.job).latestCheckpoint == checkpoint)
      #expect(try await f.store.markCorrupt(checkpoint, detail: "new", by: .controller(next)) == .done(nil))
    }
  }

  @Test func theDatabaseItselfKeepsLatestDurableAndForward() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let attempt = try await f.run(f.job("one"), lease, gpus: [0])
      let other = try await f.run(f.job("two"), lease, gpus: [1])
      let old = try await f.commit(attempt.id, step: 10).checkpoint
      let latest = try await f.commit(attempt.id, step: 20).checkpoint
      let foreign = try await f.commit(other.id, step: 99).checkpoint
      let local = try #require(
        try await f.store.registerCheckpoint(attempt.id, step: 30, state: .local, size: .zero, by: f.epoch).value)
      for wrong in [old, foreign, local] {
        let code = try await postgresCode {
          try await f.pool.execute("UPDATE job SET latest_checkpoint_id = \(wrong) WHERE id = \(attempt.job)")
        }
        #expect(code == .checkViolation, "\(wrong)")
      }
      let none = try await postgresCode {
        try await f.pool.execute("UPDATE job SET latest_checkpoint_id = NULL WHERE id = \(attempt.job)")
      }
      #expect(none == .checkViolation)
      let corrupt = try await postgresCode {
        try await f.pool.execute("UPDATE checkpoint SET state = 'CORRUPT' WHERE id = \(latest)")
      }
      #expect(corrupt == .checkViolation)
    }
  }

  @Test func tellsOnceWhyACheckpointIsOfNoUse() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      func reject(_ step: Int64, _ reason: String) async throws -> Guarded<AttemptID> {
        try await f.store.recordTrouble(with: step, in: attempt.id, isRejected: true, reason, by: f.epoch)
      }
      let known = try #require(
        try await f.store.registerCheckpoint(attempt.id, step: 10, state: .uploading, size: .zero, by: f.epoch).value)
      // A journal is read again from its beginning by whoever takes over.
      for isNew in [true, false] {
        #expect(try await reject(10, "it changed").isStale == !isNew)
        #expect(try await reject(20, "it is empty").isStale == !isNew)
      }
      #expect(try await reject(10, "it changed again") == .done(attempt.id))
      #expect(try await f.store.rejections(of: [known]) == [known: "it changed again"])
      let events = try await f.store.events(limit: 100).filter { $0.action == "checkpoint.reject" }
      #expect(events.map(\.subject) == [Subject(known), Subject(attempt.id), Subject(known)])
      #expect(events.map { $0.detail["step"] } == ["10", "20", "10"])
      // It was whole in the store after all.
      _ = try await f.commit(attempt.id, step: 10)
      #expect(try await f.store.rejections(of: [known]) == [:])
      let none = try await f.store.recordTrouble(with: 1, in: AttemptID(99), isRejected: true, "", by: f.epoch)
      #expect(none == .stale)
    }
  }

  @Test(
    arguments: [
      ([], ""),
      ([10], "; its checkpoint of step 20 may not have reached the store: PUT was answered 503"),
      ([10, 20], "; its checkpoint of step 20 is of no use: PUT was answered 503"),
      ([20], "; its checkpoint of step 20 is of no use: PUT was answered 503"),
    ] as [([Int64], String)])
  func theEndOfALeaseTellsWhatBecameOfTheLastSave(troubled: [Int64], text: String) async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let attempt = try await f.run(f.job(), lease)
      _ = try await f.commit(attempt.id, step: 5)
      for step in troubled.isEmpty ? [] : [10, 20] as [Int64] {
        _ = try await f.store.registerCheckpoint(attempt.id, step: step, state: .uploading, size: .zero, by: f.epoch)
      }
      for step in troubled {
        _ = try await f.store.recordTrouble(
          with: step, in: attempt.id, isRejected: step == 20, "PUT was answered 503", by: f.epoch)
      }
      try await f.expire(lease.id)
      _ = try await f.store.terminateDueLeases(by: f.epoch)
      #expect(try await f.store.attempt(attempt.id).reasonDetail == "\(lease.id) ended" + text)
    }
  }

  /// What an attempt stored last becomes known at the moment at which the next attempt starts.
  @Test func ofALateCommitAndANewAttemptOneIsFirstAndTheOtherKnows() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      var attempt = try await f.run(job, lease)
      var latest = try await f.commit(attempt.id, step: 10)
      for round in 1...12 {
        _ = try await f.end(attempt.id, .leaseEnded)
        let old = attempt.id
        async let late = f.commit(old, step: Int64(10 + round))
        async let next = f.run(job, lease)
        let (commit, started) = try await (late, next)
        #expect(started.resumeCheckpoint == (commit.isLatest ? commit : latest).checkpoint)
        #expect(try await f.store.job(job).latestCheckpoint == started.resumeCheckpoint)
        latest = commit.isLatest ? commit : latest
        attempt = started
      }
    }
  }

  @Test func ofTwoCommitsAtOnceTheLaterStepIsLatest() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      for round in 1...8 as ClosedRange<Int64> {
        let steps = (0..<4).map { round * 10 + $0 }
        let results = try await withThrowingTaskGroup(of: (Int64, CommitResult).self) { group in
          for step in steps { group.addTask { (step, try await f.commit(attempt.id, step: step)) } }
          var found: [Int64: CommitResult] = [:]
          for try await (step, result) in group { found[step] = result }
          return found
        }
        #expect(try await f.store.job(attempt.job).latestCheckpoint == results[round * 10 + 3]?.checkpoint)
        #expect(results[round * 10 + 3]?.isLatest == true)
      }
    }
  }

  /// A node that was cut off and one that took over store the same step: each is its own checkpoint.
  @Test func ofTwoAttemptsThatCommitAtOnceTheStaleOneLoses() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let old = try await f.run(job, lease)
      _ = try await f.commit(old.id, step: 10)
      _ = try await f.end(old.id, .lost)
      let new = try await f.run(job, lease)
      for step in 11...22 as ClosedRange<Int64> {
        async let stale = f.commit(old.id, step: step + 100)
        async let fresh = f.commit(new.id, step: step)
        let (late, current) = try await (stale, fresh)
        #expect(!late.isLatest && current.isLatest)
        #expect(try await f.store.job(job).latestCheckpoint == current.checkpoint)
      }
    }
  }
}
