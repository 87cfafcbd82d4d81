import APIClient
import Domain
import Foundation
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
      let handoff = try #require(run.handoffs?.first)
      #expect(run.handoffs?.map(\.to) == [2])
      #expect(handoff.parts.reduce(.zero) { $0 + $1.length } == handoff.total)
      for step in [Handoff.Step.upload, .wait, .restore, .firstStep] { #expect(handoff.length(of: step) > .zero) }
      #expect(try await s.client.job("\(job)").handoff == handoff)
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

  @Test func carriesAGangOverTwoLeases() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      try await s.lease("first", seconds: 9)
      try await s.lease("second", seconds: 60, startIn: 9)
      let job = try await s.count("--steps 120", nodes: 2).id
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 120)
      let run = try await s.client.run("\(job)")
      #expect(run.stepsRedone == 0)
      #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed])
      let started = try s.programs.all("start")
      #expect(started.filter { $0.resumed == true }.map(\.rank).sorted() == [0, 1])
      #expect(Set(started.filter { $0.resumed == true }.map(\.step)).count == 1)
    }
  }

  @Test func resumesFromTheCheckpointBeforeOneThatRotted() async throws {
    try await SystemFixture.with { s in
      try await s.lease("first", seconds: 8)
      let job = try await s.count("--steps 100 --save-at 10").id
      let waiting = try await s.wait(job, .leaseWait)
      let rotten = try #require(waiting.checkpointStep)
      #expect(rotten > 10)
      let prefix = try #require(try await s.client.run("\(job)").checkpoints.first { $0.step == rotten }?.prefix)
      try s.rot(checkpoint: prefix)
      try await s.wiped("n1")
      try await s.lease("second")
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.resumedFromStep == 10)
      let run = try await s.client.run("\(job)")
      #expect(run.checkpoints.first { $0.step == rotten }?.state == .corrupt)
      #expect(run.attempts.map(\.outcome) == [.leaseEnded, .stagingFailed, .completed])
      try await s.expectOneCurve(job, steps: 100)
    }
  }

  @Test func goesOnFromItsLastCheckpointWhenItsLeaseIsGivenUp() async throws {
    try await SystemFixture.with { s in
      try await s.lease("first")
      let job = try await s.count("--steps 100 --save-at 10").id
      try await s.wait(job, until: "safe at step 10") { $0.checkpointStep == 10 }
      try await s.reached(step: 20)
      _ = try await s.client.deleteLease("first")
      let view = try await s.wait(job, .leaseWait)
      #expect(view.attempt?.outcome == .leaseEnded)
      try await s.wiped("n1")
      try await s.lease("second")
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.resumedFromStep == 10)
      try await s.expectOneCurve(job, steps: 100)
    }
  }

  @Test func doesNotStartAJobThatIsHeldAndEndsOneThatIsCancelledBeforeItRuns() async throws {
    try await SystemFixture.with { s in
      let held = try await s.count("--steps 3").id
      let unwanted = try await s.count("--steps 3").id
      _ = try await s.client.hold("\(held)")
      #expect(try await s.client.cancel("\(unwanted)").state == .cancelled)
      try await s.lease()
      let other = try await s.count("--steps 3").id
      try await s.wait(other, .completed)
      #expect(try await s.client.job("\(held)").state == .held)
      _ = try await s.client.release("\(held)")
      try await s.wait(held, .completed)
      #expect(try s.programs.all("start").map(\.job) == [other.rawValue, held.rawValue])
    }
  }
}
