import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct CaptureTests {
  private let code = CodeCapture(
    sha256: String(repeating: "ab", count: 32), bytes: ByteCount(2048), files: 2, folder: "jobs", untracked: ["new.py"],
    leftOut: [.init(path: "big", bytes: .gibibytes(1), reason: "larger than 4 MiB")])

  /// A job that was submitted with `edit` made to its submission.
  private func submit(_ f: StoreFixture, _ edit: (inout JobSubmission) -> Void) async throws -> JobID {
    var submission = JobSubmission(
      project: f.project, user: f.user, spec: JobSpec(name: "train", command: ["train"]), specText: "train")
    edit(&submission)
    return try await f.store.submit(submission, by: f.actor).job.id
  }

  @Test func keepsTheCodeOfARun() async throws {
    try await StoreFixture.with { f in
      let job = try await submit(f) { $0.provenance.code = code }
      #expect(try await f.store.run(job.run).provenance.code == code)
      #expect(try await f.store.code(of: job) == code)
      #expect(try await f.store.code(of: f.job()) == nil)
    }
  }

  @Test func equalEnvironmentsAreOne() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1"), f.node("n2")])
      let attempt = try await f.run(f.job(), lease)
      let found = NodeEnvironment(facts: ["kernel": "6.1"], packages: ["numpy": "1.26"])
      for node in lease.nodes {
        let id = try await f.store.recordEnvironment(attempt.id, node: node, found, by: f.epoch)
        #expect(id.value?.count == 64)
      }
      // A journal that is read again tells it again.
      _ = try await f.store.recordEnvironment(attempt.id, node: lease.nodes[0], found, by: f.epoch)
      let records = try await f.store.environments(of: attempt.job)
      #expect(records.map(\.node) == lease.nodes)
      #expect(records.allSatisfy { $0.content == found && $0.attemptNumber == 1 })
      #expect(Set(records.map(\.sha256)).count == 1)
      #expect(try await f.number("SELECT count(*) AS n FROM environment") == 1)
      let other = try await f.node("n3")
      #expect(try await f.store.recordEnvironment(attempt.id, node: other, found, by: f.epoch).isStale)
    }
  }

  @Test func startsFromWhatAnotherRunSavedAndKeepsItUntilItIsOver() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let first = try await f.run(f.job("base"), lease)
      let saved = try await f.commit(first.id, step: 300)
      _ = try await f.end(first.id, .completed, exitCode: 0)
      let checkpoint = try #require(try await f.store.job(first.job).latestCheckpoint)
      let job = try await submit(f) { $0.startCheckpoint = checkpoint }
      #expect(try await f.store.run(job.run).startCheckpoint == checkpoint)
      #expect(try await f.store.startRun(of: job) == first.job.run)
      #expect(try await f.store.startRun(of: first.job) == nil)
      #expect(try await f.store.pins(of: [checkpoint])[checkpoint]?.map(\.run) == [job.run])
      #expect(try await f.store.markPruned(checkpoint, by: f.actor).isStale)
      let waiting = try #require(try await f.store.snapshot().snapshot.waiting.first { $0.id == job })
      #expect(waiting.needs.restore > .zero)
      let attempt = try await f.run(job, lease)
      #expect(attempt.resumeCheckpoint == checkpoint)
      #expect(attempt.resumeStep == 300)
      #expect(attempt.resumeRun == first.job.run)
      // From its own as soon as it has one.
      _ = try await f.commit(attempt.id, step: 310)
      _ = try await f.end(attempt.id, .saved, exitCode: 85)
      let next = try await f.run(job, lease)
      #expect(next.resumeStep == 310)
      #expect(next.resumeRun == job.run)
      _ = try await f.end(next.id, .completed, exitCode: 0)
      #expect(try await f.store.pins(of: [checkpoint])[checkpoint] == nil)
      _ = saved
    }
  }

  @Test func knowsWhatARunCameFromAndWhatCameFromIt() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let base = try await f.run(f.job("base"), lease)
      _ = try await f.commit(base.id, step: 300)
      _ = try await f.end(base.id, .completed, exitCode: 0)
      let checkpoint = try await f.store.job(base.job).latestCheckpoint
      let tuned = try await submit(f) { $0.startCheckpoint = checkpoint }
      let again = try await submit(f) { $0.reproduces = tuned.run }
      let sibling = try await submit(f) { $0.reproduces = base.job.run }
      _ = try await f.job("stranger")
      #expect(try await f.store.family(of: tuned).map(\.job) == [base.job, tuned, again])
      #expect(try await f.store.family(of: base.job).map(\.job) == [base.job, tuned, again, sibling])
      #expect(try await f.store.family(of: again).last?.reproduces == tuned.run)
      #expect(try await f.store.run(again.run).reproduces == tuned.run)
    }
  }

  @Test func tellsTheExtremesOfAMetric() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      _ = try await f.ingest(attempt, [1, 2, 3], from: 0) { $0 == 2 ? .nan : Double($0) }
      let found = try await f.store.metricExtremes(of: attempt.job)
      #expect(found["loss"]?.lowest == 1)
      #expect(found["loss"]?.highest == 3)
    }
  }
}

@Suite(.timeLimit(.minutes(5))) struct RunWordTests {
  @Test func aRunIsFoundByItsWords() async throws {
    try await StoreFixture.with { f in
      let job = try await f.job { $0.tags = ["paper", "paper", "a b"] }
      let other = try await f.job()
      #expect(try await f.store.run(job.run).tags == ["a b", "paper"])
      #expect(try await f.store.tagRun(job.run, add: ["x", "paper"], by: f.actor) == ["a b", "paper", "x"])
      #expect(try await f.store.tagRun(job.run, add: [], remove: ["a b", "none"], by: f.actor) == ["paper", "x"])
      #expect(try await f.store.tags(of: [job, other]) == [job: ["paper", "x"]])
      var filter = JobFilter()
      filter.tag = "x"
      #expect(try await f.store.jobs(filter).map(\.id) == [job])
      let events = try await f.number("SELECT count(*) AS n FROM event WHERE action = 'run.tag'")
      #expect(events == 2)
      await #expect(throws: StoreError.self) { try await f.store.tagRun(RunID(999), add: ["x"], by: f.actor) }
    }
  }

  @Test func notesAreAddedAndNeverChanged() async throws {
    try await StoreFixture.with { f in
      let job = try await f.job()
      try await f.store.addNote("one", to: job.run, by: f.actor)
      try await f.store.addNote("two", to: job.run, by: .user("grace"))
      let notes = try await f.store.notes(of: job)
      #expect(notes.map(\.body) == ["one", "two"])
      #expect(notes.map(\.author) == ["user:ada", "user:grace"])
      #expect(try await f.store.run(job.run).notes == notes)
      await #expect(throws: PostgresError.self) { try await f.pool.execute("UPDATE run_note SET body = 'x'") }
      await #expect(throws: PostgresError.self) { try await f.pool.execute("DELETE FROM run_note") }
      await #expect(throws: StoreError.self) { try await f.store.addNote("x", to: RunID(999), by: f.actor) }
      #expect(try await f.number("SELECT count(*) AS n FROM event WHERE action = 'run.note'") == 2)
    }
  }
}
