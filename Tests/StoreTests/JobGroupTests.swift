import Domain
import Postgres
import Store
import Testing

/// Groups of jobs: all or none, and how many of them run.
@Suite(.timeLimit(.minutes(5))) struct JobGroupTests {
  private func submission(
    _ f: StoreFixture, count: Int = 3, key: String? = "k", atMost: Int? = nil, data: [DataRequest] = []
  ) -> GroupSubmission {
    var spec = JobSpec(name: "a", command: ["a"])
    spec.data = data
    let common = JobSubmission(project: f.project, user: f.user, spec: spec, specText: "the file", key: key)
    return GroupSubmission(
      common: common, name: "sweep", atMost: atMost,
      members: (0..<count).map { index in
        var member = spec
        member.name = "a[\(index)]"
        return .init(index: index, values: ["lr": "\(index)"], spec: member, specText: "file \(index)")
      })
  }

  @Test func aGroupIsOneSubmission() async throws {
    try await StoreFixture.with { f in
      var wanted = submission(f)
      let (group, isNew) = try await f.store.submit(wanted, by: f.actor)
      #expect(isNew && group.name == "sweep" && group.size == 3 && group.states == [.pending: 3])
      let again = try await f.store.submit(wanted, by: f.actor)
      #expect(!again.isNew && again.group == group)
      var filter = JobFilter()
      filter.group = group.id
      let jobs = try await f.store.jobs(filter)
      #expect(Array(jobs.map(\.id).reversed()) == group.jobs)
      #expect(jobs.map { $0.place?.index } == [2, 1, 0] && jobs[0].place?.values == ["lr": "2"])
      #expect(try await f.store.jobText(group.jobs[1]) == "file 1")
      wanted.common.specText = "another"
      await #expect(throws: StoreError.submissionKeyReused(key: "k", job: group.jobs[0])) {
        _ = try await f.store.submit(wanted, by: f.actor)
      }
    }
  }

  @Test func listsGroupsNewestFirstByWhetherTheyAreOver() async throws {
    try await StoreFixture.with { f in
      var groups: [JobGroupRecord] = []
      for _ in 0..<3 { groups.append(try await f.store.submit(submission(f, key: nil), by: f.actor).group) }
      for job in groups[1].jobs { _ = try await f.store.cancelJob(job, by: f.actor) }
      // One that is over does not end a group.
      _ = try await f.store.cancelJob(groups[2].jobs[0], by: f.actor)
      let all = try await f.store.groups()
      #expect(all.map(\.id) == groups.map(\.id).reversed())
      #expect(all[0].states == [.pending: 2, .cancelled: 1] && all[0].jobs == groups[2].jobs)
      #expect(all[0].projectName == "vision" && !all[0].userName.isEmpty)
      var filter = JobGroupFilter()
      filter.isOver = true
      #expect(try await f.store.groups(filter).map(\.id) == [groups[1].id])
      filter.isOver = false
      #expect(try await f.store.groups(filter, limit: 1).map(\.id) == [groups[2].id])
      filter.before = groups[2].id
      #expect(try await f.store.groups(filter).map(\.id) == [groups[0].id])
      filter.project = ProjectID(99)
      #expect(try await f.store.groups(filter).isEmpty)
    }
  }

  @Test func oneJobThatCannotBeMeansNone() async throws {
    try await StoreFixture.with { f in
      var wanted = submission(f)
      wanted.members[2].spec.data = [DataRequest(name: "absent")]
      await #expect(throws: StoreError.unknownDataset(name: "absent", version: nil)) {
        _ = try await f.store.submit(wanted, by: f.actor)
      }
      let jobs = try await f.store.jobs()
      #expect(jobs.isEmpty)
      // The key is free as before.
      #expect(try await f.store.submit(submission(f), by: f.actor).isNew)
    }
  }

  @Test func theSnapshotTellsHowManyRun() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("l", [try await f.node("n")])
      let limited = try await f.store.submit(submission(f, key: nil, atMost: 2), by: f.actor).group
      let free = try await f.store.submit(submission(f, key: nil), by: f.actor).group
      let attempt = try await f.run(limited.jobs[0], lease)
      var snapshot = try await f.store.snapshot().snapshot
      #expect(snapshot.groups == [GroupSnapshot(id: limited.id, atMost: 2, running: 1)])
      #expect(snapshot.waiting.map(\.group) == [limited.id, limited.id, free.id, free.id, free.id])
      _ = try await f.end(attempt.id, .completed, exitCode: 0)
      for job in limited.jobs.dropFirst() { _ = try await f.store.cancelJob(job, by: f.actor) }
      snapshot = try await f.store.snapshot().snapshot
      #expect(snapshot.groups.isEmpty)
      #expect(try await f.store.group(limited.id).states == [.completed: 1, .cancelled: 2])
    }
  }

  /// Each of two plans may be right by itself.
  @Test func neverMoreOfAGroupStartThanItLets() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("l", [try await f.node("a"), try await f.node("b")])
      for round in 0..<5 {
        let group = try await f.store.submit(submission(f, count: 2, key: nil, atMost: 1), by: f.actor).group
        let starts = zip(group.jobs, lease.nodes).map { job, node in
          Start(
            job: job, lease: lease.id, placement: Placement(shares: [Placement.Share(node: node, gpus: [0])]))
        }
        let begun = try await withThrowingTaskGroup(of: AttemptRecord?.self) { tasks in
          for start in starts { tasks.addTask { try await f.store.start(start, by: f.epoch).value } }
          return try await tasks.reduce(into: []) { all, one in all += one.map { [$0] } ?? [] }
        }
        #expect(begun.count == 1, "round \(round)")
        for attempt in begun { try await complete(attempt.id, f) }
        // The other has its turn now.
        let other = try #require(starts.first { $0.job != begun.first?.job })
        let next = try await f.store.start(other, by: f.epoch)
        try await complete(try #require(next.value).id, f)
      }
    }
  }

  private func complete(_ attempt: AttemptID, _ f: StoreFixture) async throws {
    _ = try await f.store.markLaunching(attempt, masterPort: 29_500, by: f.epoch)
    _ = try await f.store.markRunning(attempt, by: f.epoch)
    _ = try await f.end(attempt, .completed, exitCode: 0)
  }
}
