import Domain
import Postgres
import Store
import Testing

/// Jobs that begin from a checkpoint of another run.
@Suite(.timeLimit(.minutes(5))) struct ResumeFromTests {
  /// A run with a DURABLE checkpoint of step 10, over and settled.
  private func saved(_ f: StoreFixture, _ lease: LeaseRecord) async throws -> CheckpointID {
    let attempt = try await f.run(f.job(), lease)
    let checkpoint = try await f.commit(attempt.id, step: 10).checkpoint
    _ = try await f.end(attempt.id, .completed)
    return checkpoint
  }

  @Test func theFirstAttemptResumesFromTheOtherRunAndTheNextFromItsOwn() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let checkpoint = try await saved(f, lease)
      let job = try await f.job("again", from: checkpoint)
      let waiting = try await f.store.snapshot().snapshot.waiting
      #expect(waiting.map(\.needs.restore) == [.mebibytes(10)])
      let first = try await f.run(job, lease)
      #expect(first.resumeCheckpoint == checkpoint && first.resumeStep == 10)
      #expect(try await f.store.job(job).latestCheckpoint == nil)
      let own = try await f.commit(first.id, step: 20).checkpoint
      _ = try await f.end(first.id, .saved, exitCode: 85)
      #expect(try await f.start(job, lease).resumeCheckpoint == own)
    }
  }

  @Test func itIsKeptUntilTheJobIsOver() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let attempt = try await f.run(f.job(), lease)
      let checkpoint = try await f.commit(attempt.id, step: 10).checkpoint
      _ = try await f.commit(attempt.id, step: 20)
      let job = try await f.job("again", from: checkpoint)
      #expect(try await f.store.pins(of: [checkpoint])[checkpoint]?.map(\.run) == [job.run])
      #expect(try await f.store.markPruned(checkpoint, by: f.actor) == .stale)
      _ = try await f.store.cancelJob(job, by: f.actor)
      #expect(try await f.store.markPruned(checkpoint, by: f.actor) == .done(checkpoint))
      let error = await #expect(throws: StoreError.self) { try await f.job("late", from: checkpoint) }
      #expect(error == .notResumable(checkpoint: checkpoint, state: .pruned))
    }
  }

  @Test func aCheckpointOfAnotherProjectIsNoneAtAll() async throws {
    try await StoreFixture.with { f in
      let checkpoint = try await saved(f, f.lease("exp", [f.node("n1")]))
      let other = try await f.store.ensureProject("sound")
      let submission = JobSubmission(
        project: other, user: f.user, spec: JobSpec(name: "thief", command: ["train"]), specText: "name: thief",
        startCheckpoint: checkpoint)
      let error = await #expect(throws: StoreError.self) { _ = try await f.store.submit(submission, by: f.actor) }
      #expect(error?.code == "not_found")
    }
  }

  @Test(arguments: [false, true]) func aJobWhoseCheckpointRottedDoesNotWaitForEver(isHeld: Bool) async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let checkpoint = try await saved(f, lease)
      let job = try await f.job("again", from: checkpoint)
      let own = try await f.job("own", from: checkpoint)
      let attempt = try await f.run(own, lease)
      _ = try await f.commit(attempt.id, step: 20)
      _ = try await f.end(attempt.id, .saved, exitCode: 85)
      if isHeld { _ = try await f.store.holdJob(job, by: f.actor) }
      _ = try await f.store.markCorrupt(checkpoint, detail: "a flipped byte", by: f.actor)
      let end = try await f.store.job(job)
      #expect(end.state == .failed && end.reason == "CheckpointCorrupt")
      #expect(end.reasonDetail?.contains("a flipped byte") == true)
      #expect(try await f.store.job(own).state == .leaseWait, "it has one of its own")
      #expect(
        try await f.number("SELECT count(*) AS n FROM event WHERE action = 'job.fail' AND subject_id = \(job.rawValue)")
          == 1)
    }
  }
}
