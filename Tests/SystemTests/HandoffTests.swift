import APIClient
import Domain
import Lab
import Testing
import Wire

/// A run over several leases, and people who change their mind.
@Suite struct HandoffTests {
  @Test func carriesOneCurveOverTwoLeases() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      try await s.lease("first", nodes: ["n1"], seconds: 8)
      try await s.lease("second", nodes: ["n2"], seconds: 60, startIn: 8)
      let job = try await s.count("--steps 120").id
      let end = try await s.wait(job, .completed)
      #expect(end.exitCode == 0)
      try await s.expectOneCurve(job, steps: 120)
      let run = try await s.client.run("\(job)")
      #expect(run.stepsRedone == 0)
      #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed])
      #expect(run.attempts.map { $0.nodes.map(\.name) } == [["n1"], ["n2"]])
      let last = run.checkpoints.last { $0.attemptNumber == 1 }
      #expect(run.attempts.last?.resumedFromStep == last?.step)
      #expect(last?.state == .durable)
    }
  }

  @Test func keepsRunningPastTheOldEndOfAnExtendedLease() async throws {
    try await SystemFixture.with { s in
      let lease = try await s.lease("first", seconds: 8)
      let job = try await s.count("--steps 200").id
      try await s.reached(step: 5)
      let extended = try await s.client.extendLease("first", LeaseExtension(by: "1m"))
      #expect(extended.end > lease.end)
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.number == 1)
      let ended = try #require(end.endedAt)
      #expect(ended > lease.end)
      try await s.expectOneCurve(job, steps: 200)
    }
  }

  @Test func savesBeforeItCancels() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let job = try await s.count().id
      try await s.reached(step: 5)
      _ = try await s.client.cancel("\(job)")
      let end = try await s.wait(job, .cancelled)
      let saved = try #require(try s.programs.all("saved").last)
      #expect(end.checkpointStep == saved.step)
      #expect(try !s.programs.isLocked("job-\(job.rawValue)-rank-0"))
    }
  }

  @Test func asksAProgramToSaveAndLetsItGoOn() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let job = try await s.count("--steps 60").id
      try await s.wait(job, .running)
      try await s.reached(step: 5)
      _ = try await s.client.checkpoint("\(job)")
      try await s.wait(job, until: "safe") { $0.checkpointStep != nil }
      try await s.wait(job, .completed)
      #expect(try s.programs.all("start").count == 1)
      try await s.expectOneCurve(job, steps: 60)
    }
  }
}
