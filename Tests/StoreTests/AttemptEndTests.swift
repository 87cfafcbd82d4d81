import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct AttemptEndTests {
  @Test func theEndOfALeaseEndsItsAttemptsAndTheJobsWait() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let lease = try await f.lease("exp", [node])
      let survivor = try await f.job("survivor")
      let saved = try await f.run(survivor, lease, gpus: [0])
      _ = try await f.commit(saved.id, step: 10)
      let mortal = try await f.job("mortal") { $0.survivesLease = false }
      let unsaved = try await f.run(mortal, lease, gpus: [1])
      let version = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version
      _ = try await f.store.setReplica(node: node, version: version.id, state: .verified, by: f.epoch)
      try await f.expire(lease.id)
      let ended = try #require(try await f.store.terminateDueLeases(by: f.epoch).value)
      #expect(ended.moved.flatMap(\.attempts).map(\.attempt) == [saved.id, unsaved.id])
      #expect(try await f.store.job(survivor).state == .leaseWait)
      #expect(try await f.store.job(mortal).state == .failed)
      let over = try await f.store.attempt(saved.id)
      #expect(over.outcome == .leaseEnded)
      #expect(try await f.store.lease(lease.id).state == .terminated)
      // The disk is gone, and with it the copy.
      #expect(try await f.number("SELECT count(*) AS n FROM replica") == 0)
      #expect(try await f.store.terminateDueLeases(by: f.epoch).value?.moved == [])
    }
  }

  @Test func saysWhichNodesDidNotAnswerWhenALeaseEnded() async throws {
    try await StoreFixture.with { f in
      let nodes = [try await f.node("n1"), try await f.node("n2")]
      let lease = try await f.lease("exp", nodes)
      let attempt = try await f.run(f.job { $0.resources.nodes = 2 }, lease)
      _ = try await f.store.setNodeState(nodes[1], to: .suspect, by: f.epoch)
      try await f.expire(lease.id)
      _ = try await f.store.terminateDueLeases(by: f.epoch)
      let detail = try #require(try await f.store.attempt(attempt.id).reasonDetail)
      #expect(detail.hasPrefix("\(lease.id) ended; node n2 had not answered for "), "\(detail)")
      #expect(!detail.contains("n1"))
    }
  }

  @Test func aLeaseThatIsGivenUpEndsItsAttemptsNow() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let attempt = try await f.run(f.job(), lease)
      let end = try #require(try await f.store.deleteLease(lease.id, by: f.actor).value)
      #expect(end.attempts.map(\.attempt) == [attempt.id])
      let period = try await f.store.lease(lease.id).period
      #expect(period.end < lease.period.end)
      #expect(try #require(try await f.store.attempt(attempt.id).endedAt) <= period.end)
    }
  }

  @Test func aJobGoesOnOnlyWhenItsLastAttemptIsSettled() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let attempt = try await f.run(job, lease)
      _ = try await f.store.endAttempt(AttemptEnding(attempt: attempt.id, outcome: .lost), by: f.epoch)
      let start = Start(job: job, lease: lease.id, placement: attempt.placement)
      #expect(try await f.store.unsettledAttempts().map(\.id) == [attempt.id])
      #expect(try await f.store.start(start, by: f.epoch).isStale)
      #expect(try await f.store.snapshot().snapshot.waiting.isEmpty)
      // What it left in the store is brought in late, and is what the next one resumes from.
      #expect(try await f.commit(attempt.id, step: 12).isLatest)
      #expect(try await f.store.job(job).state == .pending)
      #expect(try await f.store.markSettled(attempt.id, by: f.epoch) == .done(attempt.id))
      #expect(try await f.store.markSettled(attempt.id, by: f.epoch) == .stale)
      #expect(try await f.store.job(job).state == .leaseWait)
      #expect(try await f.store.snapshot().snapshot.waiting.map(\.id) == [job])
      #expect(try await f.store.start(start, by: f.epoch).value?.resumeStep == 12)
    }
  }

  @Test func retriesAFailingProgramAsOftenAsItsPolicySays() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job {
        $0.retry.maxRestarts = 1
        $0.retry.onExitCodes = [3]
      }
      #expect(try await f.end(f.run(job, lease).id, .failed, exitCode: 3).state == .pending)
      #expect(try await f.store.job(job).restarts == 1)
      #expect(try await f.store.job(job).exitCode == nil)
      #expect(try await f.end(f.run(job, lease).id, .failed, exitCode: 3).state == .failed)
      let over = try await f.store.job(job)
      #expect(over.exitCode == 3)
      #expect(over.attempts == 2)
      #expect(over.endedAt != nil)
    }
  }

  @Test func troubleOfNodesCountsInARowOnly() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      for _ in 0..<2 { #expect(try await f.end(f.start(job, lease).id, .stagingFailed).state == .pending) }
      #expect(try await f.end(f.run(job, lease).id, .lost).state == .pending)
      for _ in 0..<2 { #expect(try await f.end(f.start(job, lease).id, .launchFailed).state == .pending) }
      #expect(try await f.end(f.start(job, lease).id, .launchFailed).state == .failed)
    }
  }

  @Test func honoursAContinueOnlyAfterANewerCheckpoint() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let first = try await f.run(job, lease)
      _ = try await f.commit(first.id, step: 10)
      #expect(try await f.end(first.id, .saved, exitCode: 85).state == .leaseWait)
      let second = try await f.run(job, lease)
      #expect(second.resumeStep == 10)
      let fate = try await f.end(second.id, .saved, exitCode: 85)
      #expect(fate.state == .failed)
      #expect(fate.reason == "NoProgress")
    }
  }

  @Test func addsUpHowLongTheRanksRan() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job { $0.time.limit = .minutes(10) }
      for (minutes, state) in [(6.0, JobState.pending), (6.0, .timeout)] {
        let attempt = try await f.run(job, lease)
        try await f.pool.execute(
          """
          UPDATE attempt SET running_at = running_at - make_interval(mins => \(Int(minutes))) WHERE id = \(attempt.id)
          """)
        #expect(try await f.store.job(job).ran >= .minutes(6))
        #expect(try await f.end(attempt.id, .lost).state == state)
      }
      #expect(try await f.store.job(job).ran >= .minutes(12))
    }
  }

  @Test func holdsAJobWhoseNodesAreLostAgainAndAgain() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      for _ in 1..<AttemptEnd.lostMost { #expect(try await f.end(f.run(job, lease).id, .lost).state == .pending) }
      let last = try await f.run(job, lease)
      let ending = AttemptEnding(attempt: last.id, outcome: .lost, detail: "the node died", isSettled: true)
      #expect(try await f.store.endAttempt(ending, by: f.epoch).value?.fate.state == .held)
      let held = try await f.store.job(job)
      #expect(held.state == .held && held.reason == "NodesLost")
      let detail = try #require(held.reasonDetail)
      #expect(detail.hasPrefix("the node died; lost 5 times") && detail.contains("`baton release \(job)`"))
      // Whoever released it has looked: it is counted anew.
      #expect(try await f.store.releaseJob(job, by: f.actor) == .done(job))
      #expect(try await f.end(f.run(job, lease).id, .lost).state == .pending)
    }
  }

  @Test func countsOnlyLossesThatBrokeNoNewGround() async throws {
    try await StoreFixture.with { f in
      let store = Store(f.pool, lostMost: 2)
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      func lose(_ attempt: AttemptRecord) async throws -> JobState? {
        let ending = AttemptEnding(attempt: attempt.id, outcome: .lost, isSettled: true)
        return try await store.endAttempt(ending, by: f.epoch).value?.fate.state
      }
      for steps in [[1, 2], [1, 2, 3]] as [[Int64]] {
        let attempt = try await f.run(job, lease)
        _ = try await f.ingest(attempt, steps, from: 0)
        #expect(try await lose(attempt) == .pending)
      }
      // As far as the one before, and no further.
      let third = try await f.run(job, lease)
      _ = try await f.ingest(third, [1, 2, 3], from: 0)
      #expect(try await lose(third) == .pending)
      // Trouble before the ranks ran takes nothing back; a checkpoint does.
      #expect(try await f.end(f.start(job, lease).id, .stagingFailed).state == .pending)
      let fourth = try await f.run(job, lease)
      _ = try await f.commit(fourth.id, step: 1)
      #expect(try await lose(fourth) == .leaseWait)
      #expect(try await lose(f.run(job, lease)) == .leaseWait)
      #expect(try await lose(f.run(job, lease)) == .held)
    }
  }

  @Test func goesOnByItselfWhereALostAttemptTurnsOutToHaveSaved() async throws {
    try await StoreFixture.with { f in
      let store = Store(f.pool, lostMost: 1)
      let lease = try await f.lease("exp", [f.node("n1")])
      let saved = try await f.run(f.job("saved"), lease, gpus: [0])
      let unsaved = try await f.run(f.job("unsaved"), lease, gpus: [1])
      for attempt in [saved, unsaved] {
        let ending = AttemptEnding(attempt: attempt.id, outcome: .lost)
        #expect(try await store.endAttempt(ending, by: f.epoch).value?.fate.state == .held)
      }
      _ = try await f.commit(saved.id, step: 5)
      for attempt in [saved, unsaved] { _ = try await store.markSettled(attempt.id, by: f.epoch) }
      #expect(try await store.job(saved.job).state == .leaseWait)
      #expect(try await store.job(unsaved.job).state == .held)
    }
  }

  @Test func holdsAJobWhoseProgramFailsRightAfterItResumed() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let first = try await f.run(job, lease)
      _ = try await f.ingest(first, [5, 10], from: 0)
      let good = try await f.commit(first.id, step: 5).checkpoint
      let bad = try await f.commit(first.id, step: 10).checkpoint
      _ = try await f.end(first.id, .leaseEnded)
      let second = try await f.run(job, lease)
      #expect(try await f.end(second.id, .failed, exitCode: 1).reason == "ResumeFailed")
      let held = try await f.store.job(job)
      #expect(held.state == .held && held.exitCode == nil)
      let detail = try #require(held.reasonDetail)
      #expect(detail.contains("it had resumed from step 10") && detail.contains("reject \(bad)"), "\(detail)")
      #expect(try await f.store.markCorrupt(bad, detail: "by hand", by: f.actor) == .done(good))
      _ = try await f.store.releaseJob(job, by: f.actor)
      let third = try await f.run(job, lease)
      #expect(third.resumeCheckpoint == good)
      // It came further this time, and what it fails of is its own.
      _ = try await f.ingest(third, [6], from: 0)
      #expect(try await f.end(third.id, .failed, exitCode: 1).reason == "ProgramFailed")
    }
  }

  /// A program that tells no steps is taken at its time.
  @Test func aProgramThatTellsNoStepsIsStuckWhereItFailsAtOnce() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let first = try await f.run(job, lease)
      _ = try await f.commit(first.id, step: 5)
      _ = try await f.end(first.id, .leaseEnded)
      let second = try await f.run(job, lease)
      #expect(try await f.end(second.id, .failed, exitCode: 1).reason == "ResumeFailed")
    }
  }
}
