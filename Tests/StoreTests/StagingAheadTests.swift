import Domain
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct StagingAheadTests {
  @Test func tellsForWhichJobsDataMayBeBroughtAhead() async throws {
    try await StoreFixture.with { f in
      #expect(try await f.store.jobsToStageFor().isEmpty)
      let digits = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version
      let shards = try await f.store.addDatasetVersion(.test(f.project, "shards", "2"), by: f.actor).version
      let reads: (inout JobSpec) -> Void = {
        $0.data = [DataRequest(name: "digits"), DataRequest(name: "shards", mode: .shard)]
      }
      let lease = try await f.lease("exp", [f.node("n1")])
      let running = try await f.job("running", reads)
      let attempt = try await f.run(running, lease)
      _ = try await f.commit(attempt.id, step: 3)
      let waiting = try await f.job("waiting", reads)
      _ = try await f.job("without data")
      let held = try await f.job("held", reads)
      _ = try await f.store.holdJob(held, by: f.actor)
      let over = try await f.job("over", reads)
      _ = try await f.store.cancelJob(over, by: f.actor)
      let onlyShards = try await f.job("shards") { $0.data = [DataRequest(name: "shards", mode: .shard)] }
      let jobs = try await f.store.jobsToStageFor()
      #expect(jobs.map(\.id) == [running, waiting])
      #expect(jobs.map(\.state) == [.running, .pending])
      // A share of a data set is not the same on every node.
      #expect(jobs.allSatisfy { $0.needs.data == [digits.id: digits.size] })
      #expect(jobs.first?.needs.restore == .mebibytes(10))
      #expect(!jobs.contains { $0.id == onlyShards } && shards.id != digits.id)
    }
  }

  @Test func recordsWhatWasStagedAheadWhileTheLeaseLasts() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let other = try await f.node("n2")
      let version = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version
      let lease = try await f.lease("exp", [node])
      let job = try await f.job()
      func record(on node: NodeID) async throws -> Guarded<NodeID> {
        try await f.store.recordStagedAhead(
          [version.id], on: node, for: job, in: lease.id, bytes: version.size, took: .seconds(2), by: f.epoch)
      }
      #expect(try await record(on: node) == .done(node))
      #expect(try await record(on: node) == .done(node))
      #expect(try await f.replicas() == [version.id])
      let event = try #require(try await f.store.events(limit: 1).first)
      #expect(event.action == "node.staged" && event.subject == Subject(node))
      #expect(try await record(on: other) == .stale)
      // The disk goes with the lease, and what comes late must not bring the row back.
      _ = try await f.store.deleteLease(lease.id, by: f.actor)
      #expect(try await f.replicas() == [])
      #expect(try await record(on: node) == .stale)
      #expect(try await f.replicas() == [])
    }
  }

  @Test func asksARunningAttemptToLeaveAndRemembersADrill() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let job = try await f.job()
      let starting = try await f.start(job, lease)
      #expect(try await f.store.askToLeave(starting.id) == .stale)
      _ = try await f.store.markLaunching(starting.id, masterPort: 4000, by: f.epoch)
      _ = try await f.store.markRunning(starting.id, by: f.epoch)
      #expect(try await f.store.attempt(starting.id).leaveAskedAt == nil)
      #expect(try await f.store.askToLeave(starting.id) == .done(starting.id))
      let asked = try #require(try await f.store.attempt(starting.id).leaveAskedAt)
      #expect(try await f.store.askToLeave(starting.id) == .done(starting.id))
      #expect(try await f.store.attempt(starting.id).leaveAskedAt == asked)
      #expect(try await f.store.jobsGoingOn([job]).map(\.state) == [.running])
      #expect(
        try await f.store.recordDrill(of: lease.id, passed: false, detail: "save of \(job)", by: f.actor)
          == .done(lease.id))
      let event = try #require(try await f.store.events(limit: 1).first)
      #expect(event.action == "lease.drill" && event.subject == Subject(lease.id) && event.project == f.project)
      #expect(event.detail["result"] == "failed")
      #expect(try await f.store.recordDrill(of: LeaseID(99), passed: true, detail: "", by: f.actor) == .stale)
    }
  }
}
