import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct JobTests {
  @Test func theSameKeyIsTheSameJob() async throws {
    try await StoreFixture.with { f in
      var submission = JobSubmission(
        project: f.project, user: f.user, spec: JobSpec(name: "a", command: ["a"]), specText: "a", key: "k1")
      let ids = try await withThrowingTaskGroup(of: (JobID, Bool).self) { group in
        for _ in 0..<5 {
          group.addTask { [submission] in
            let (job, isNew) = try await f.store.submit(submission, by: f.actor)
            return (job.id, isNew)
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(Set(ids.map(\.0)).count == 1)
      #expect(ids.count { $0.1 } == 1)
      let id = try #require(ids.first).0
      submission.specText = "b"
      await #expect(throws: StoreError.submissionKeyReused(key: "k1", job: id)) {
        _ = try await f.store.submit(submission, by: f.actor)
      }
      submission.user = try await f.store.ensureUser("grace")
      #expect(try await f.store.submit(submission, by: f.actor).isNew)
    }
  }

  @Test func keepsWhatWasSubmittedAndWhereItCameFrom() async throws {
    try await StoreFixture.with { f in
      let version = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version
      var spec = JobSpec(name: "a", command: ["train", "--fast"])
      spec.lease = .named("exp")
      spec.data = [DataRequest(name: "digits")]
      spec.checkpoint.every = .minutes(5)
      let provenance = Provenance(
        gitCommit: "abc", gitDiff: "+1", isDirty: true, workdir: "/home", software: ["swift": "6"], hostname: "laptop")
      let submission = JobSubmission(
        project: f.project, user: f.user, spec: spec, specText: "the text", provenance: provenance)
      let job = try await f.store.submit(submission, by: f.actor).job
      // A newer version does not change what an older job was pinned to.
      _ = try await f.store.addDatasetVersion(.test(f.project, "digits", "2"), by: f.actor)
      let run = try await f.store.run(job.id.run)
      #expect(run.job == job)
      #expect(run.job.spec == spec)
      #expect(run.job.userName == "ada")
      #expect(run.specText == "the text")
      #expect(run.provenance == provenance)
      #expect(run.datasets == [version])
      #expect(try await f.store.datasets(of: job.id) == [version])
      #expect(run.attempts.isEmpty && run.checkpoints.isEmpty && run.metrics.isEmpty)
    }
  }

  @Test func refusesADataSetThatIsNotThere() async throws {
    try await StoreFixture.with { f in
      await #expect(throws: StoreError.unknownDataset(name: "digits", version: 3)) {
        try await f.job { $0.data = [DataRequest(name: "digits", version: 3)] }
      }
      let jobs = try await f.store.jobs()
      #expect(jobs.isEmpty)
    }
  }

  @Test func listsNewestFirstAndQueuesByPriority() async throws {
    try await StoreFixture.with { f in
      let low = try await f.job("low") { $0.priority = 10 }
      let high = try await f.job("high") { $0.priority = 90 }
      let held = try await f.job("held") { $0.priority = 99 }
      _ = try await f.store.holdJob(held, by: f.actor)
      let running = try await f.job("running") { $0.priority = 1 }
      _ = try await f.run(running, f.lease("exp", [f.node("n1")]))
      #expect(try await f.store.jobs().map(\.id) == [running, held, high, low])
      #expect(try await f.store.queue(project: f.project).map(\.id) == [running, high, low, held])
      var filter = JobFilter()
      filter.states = [.pending]
      filter.project = f.project
      filter.user = f.user
      #expect(try await f.store.jobs(filter).map(\.id) == [high, low])
      filter.before = high
      #expect(try await f.store.jobs(filter).map(\.id) == [low])
      _ = try await f.store.cancelJob(high, by: f.actor)
      var over = JobFilter()
      over.isOver = true
      #expect(try await f.store.jobs(over).map(\.id) == [high])
      over.isOver = false
      #expect(try await f.store.jobs(over).map(\.id) == [running, held, low])
      #expect(try await f.store.jobText(low) == "name: low")
      await #expect(throws: StoreError.notFound(kind: "job", name: "job-99")) { try await f.store.job(JobID(99)) }
    }
  }

  @Test func holdsAndReleasesOnlyWhatWaits() async throws {
    try await StoreFixture.with { f in
      let job = try await f.job()
      #expect(try await f.store.releaseJob(job, by: f.actor) == .stale)
      #expect(try await f.store.holdJob(job, by: f.actor) == .done(job))
      #expect(try await f.store.holdJob(job, by: f.actor) == .stale)
      #expect(try await f.store.releaseJob(job, by: f.actor) == .done(job))
      let attempt = try await f.run(job, f.lease("exp", [f.node("n1")]))
      #expect(try await f.store.holdJob(job, by: f.actor) == .stale)
      _ = try await f.commit(attempt.id, step: 5)
      _ = try await f.end(attempt.id, .lost)
      #expect(try await f.store.holdJob(job, by: f.actor) == .done(job))
      _ = try await f.store.releaseJob(job, by: f.actor)
      #expect(try await f.store.job(job).state == .leaseWait)
    }
  }

  @Test func cancelsAtOnceWithoutAnAttemptAndAfterItOtherwise() async throws {
    try await StoreFixture.with { f in
      let waiting = try await f.job("waiting")
      #expect(try await f.store.cancelJob(waiting, by: f.actor) == .cancelled)
      #expect(try await f.store.cancelJob(waiting, by: f.actor) == .over(.cancelled))
      let job = try await f.job("running")
      let attempt = try await f.run(job, f.lease("exp", [f.node("n1")]))
      #expect(try await f.store.cancelJob(job, by: f.actor) == .requested(attempt.id))
      #expect(try await f.store.job(job).state == .running)
      #expect(try await f.store.job(job).cancelRequestedAt != nil)
      #expect(try await f.end(attempt.id, .saved, exitCode: 85).state == .cancelled)
      #expect(try await f.store.job(job).state == .cancelled)
      await #expect(throws: StoreError.notFound(kind: "job", name: "job-99")) {
        try await f.store.cancelJob(JobID(99), by: f.actor)
      }
    }
  }

  @Test func saysWhyAJobWaits() async throws {
    try await StoreFixture.with { f in
      let job = try await f.job()
      let over = try await f.job("over")
      _ = try await f.store.cancelJob(over, by: f.actor)
      #expect(try await f.store.setReasons([job: .noLease, over: .noLease], by: f.epoch) == .done(1))
      #expect(try await f.store.setReasons([job: .noLease], by: f.epoch) == .done(0))
      #expect(try await f.store.job(job).reason == "NoLease")
      #expect(try await f.store.job(job).reasonDetail == Refusal.noLease.description)
    }
  }

  @Test func theDatabaseItselfTiesTheEndToTheState() async throws {
    try await StoreFixture.with { f in
      let job = try await f.job()
      for change in [
        "state = 'FAILED'", "ended_at = clock_timestamp()", "exit_code = 1", "state = 'RUNNING'",
        "state = 'COMPLETED', ended_at = clock_timestamp(), started_at = submitted_at, exit_code = 1", "priority = 101",
        "state = 'SLEEPING'",
      ] as [SQL] {
        let code = try await postgresCode { try await f.pool.execute("UPDATE job SET \(change) WHERE id = \(job)") }
        #expect(code == .checkViolation, "\(change)")
      }
    }
  }
}

extension NewDatasetVersion {
  static func test(_ project: ProjectID, _ name: String, _ content: Character) -> NewDatasetVersion {
    NewDatasetVersion(
      project: project, name: name, contentID: String(repeating: content, count: 64), size: .mebibytes(5), objects: 3,
      manifestKey: "datasets/\(content)", source: "a folder")
  }
}
