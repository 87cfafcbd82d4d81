import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// Programs that fail, die, do not listen, and leave things behind.
@Suite struct BadProgramTests {
  @Test func namesTheRankThatFailed() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      try await s.lease()
      let job = try await s.count("--exit-at 5:1 --only-rank 1", nodes: 2).id
      let end = try await s.wait(job, .failed)
      #expect(end.exitCode == 1)
      #expect(end.reason == "ProgramFailed")
      #expect(end.reasonDetail == "rank 1 ended with exit code 1: rank 1 of attempt 1", "with its last words")
    }
  }

  @Test func namesTheSignalThatEndedAProgram() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let job = try await s.count("--signal-at 5:11").id
      let end = try await s.wait(job, .failed)
      #expect(end.exitCode == 139)
      #expect(end.reasonDetail?.contains("rank 0 was ended by signal 11") == true)
    }
  }

  @Test func killsAProgramThatDoesNotListenBeforeTheLeaseEnds() async throws {
    try await SystemFixture.with { s in
      try await s.lease("first", seconds: 8)
      let job = try await s.count("--deaf", "checkpoint: {grace: 1s}").id
      let view = try await s.wait(job, until: "waiting again") { $0.state == .pending && $0.attempt?.state == .ended }
      #expect(view.attempt?.outcome == .leaseEnded)
      #expect(view.attempt?.detail == "the lease ended; not every rank left by itself")
      #expect(try !s.programs.isLocked("job-1-rank-0"), "it is dead when its attempt is over")
      let ended = try #require(view.attempt?.endedAt)
      let leaseEnd = try #require(view.attempt?.leaseEnd)
      #expect(ended < leaseEnd)
      #expect(try s.programs.all("step").allSatisfy { $0.attempt == 1 })
    }
  }

  @Test func failsAProgramThatFillsTheDiskAndUsesTheNodeAgain() async throws {
    try await SystemFixture.with(diskSize: .mebibytes(128)) { s in
      try await s.lease()
      let job = try await s.count("--fill-at 5").id
      let end = try await s.wait(job, .failed)
      // Its last words may have had no room in the log.
      #expect(end.reasonDetail?.hasPrefix("rank 0 ended with exit code 1") == true, "\(end.reasonDetail ?? "")")
      let next = try await s.count("--steps 5").id
      try await s.wait(next, .completed)
      try await s.expectOneCurve(next, steps: 5)
    }
  }

  @Test func neverResumesFromHalfACheckpoint() async throws {
    try await SystemFixture.with { s in
      try await s.lease("first", seconds: 8)
      try await s.lease("second", seconds: 60, startIn: 8)
      let job = try await s.count("--steps 100 --save-at 10 --partial-in 1").id
      let end = try await s.wait(job, .completed)
      let half = try #require(try s.programs.all("half-saved").first)
      let run = try await s.client.run("\(job)")
      #expect(run.checkpoints.filter { $0.state == .durable }.map(\.step).contains(half.step) == false)
      #expect(end.attempt?.resumedFromStep == 10)
      #expect(run.stepsRedone > 0)
      try await s.expectOneCurve(job, steps: 100)
    }
  }

  @Test func usesTheOneBeforeWhereTheLastSaveIsTooSlowForTheLease() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      try await s.lease("first", nodes: ["n1"], seconds: 8)
      try await s.lease("second", nodes: ["n2"], seconds: 3600, startIn: 8)
      let job = try await s.count("--save-at 10 --slow-save 60 --until-told").id
      let saving = try await s.event("that it saves for the last time") { $0.event == "saving" }
      try await s.expectOneCurveToTheEnd(job, resumedFrom: 10)
      let first = try #require(try await s.client.run("\(job)").attempts.first)
      #expect(first.outcome == .leaseEnded)
      let words = "its checkpoint of step \(saving.step) is of no use: no time was left before it was complete"
      #expect(first.detail?.contains(words) == true, "\(first)")
    }
  }

  /// The store has what the program saved, bit for bit: only the program can tell that it is of no use.
  @Test func goesBackToTheOneBeforeWhereAPersonSaysSoAndTheProgramCannotLoadItsCheckpoint() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      try await s.lease("first", nodes: ["n1"], seconds: 8)
      try await s.lease("second", nodes: ["n2"], seconds: 3600, startIn: 8)
      let job = try await s.count("--save-at 10 --corrupt-in 1 --until-told").id
      let held = try await s.wait(job, .held)
      #expect(held.reason == "ResumeFailed")
      let detail = try #require(held.reasonDetail)
      let last = try #require(try s.programs.all("saved").last)
      #expect(last.step > 10 && last.attempt == 1)
      #expect(detail.contains("rank 0 ended with exit code 1: json.decoder.JSONDecodeError: "), "\(detail)")
      #expect(detail.contains("; it had resumed from step \(last.step)"), "\(detail)")
      let bad = try #require(try await s.client.run("\(job)").checkpoints.first { $0.isLatest })
      #expect(detail.contains("baton checkpoint reject \(bad.id)"), "\(detail)")
      let rejected = try await s.baton("checkpoint", "reject", "\(bad.id)", "--reason", "it cannot be loaded")
      #expect(rejected.status == 0, "\(rejected.output)")
      _ = try await s.client.release("\(job)")
      try await s.reached(step: 11, attempt: 3)
      try s.finish()
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.resumedFromStep == 10)
      try await s.expectOneCurve(job, steps: try #require(end.lastStep))
    }
  }

  @Test func endsADaemonThatForgotItsParents() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let job = try await s.count("--steps 20 --daemon").id
      try await s.event("that its daemon runs") { $0.event == "daemon" }
      #expect(try s.programs.isLocked("daemon"))
      try await s.wait(job, .completed)
      #expect(try !s.programs.isLocked("daemon"))
    }
  }

  @Test func endsAJobWhoseTimeIsUp() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let job = try await s.count("", "time: {limit: 2s}").id
      let end = try await s.wait(job, .timeout)
      #expect(end.reason == "TimeLimit")
      #expect(end.checkpointStep == (try s.programs.all("saved").last?.step))
    }
  }

  @Test func goesOnFromWhereAProgramSavedAndLeft() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let job = try await s.count("--steps 40 --save-at 10 --exit-at 20:85").id
      // It leaves again at the same step: progress is looked for, and there is none.
      let end = try await s.wait(job, .failed)
      #expect(end.reason == "NoProgress")
      #expect(try s.programs.all("start").map(\.step) == [0, 10])
    }
  }

  @Test func triesAFailingProgramAsOftenAsItsJobFileSays() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let job = try await s.count("--exit-at 3:7", "retry: {max_restarts: 2, on_exit_codes: [7]}").id
      let end = try await s.wait(job, .failed)
      #expect(end.exitCode == 7)
      #expect(try await s.client.run("\(job)").attempts.count == 3)
    }
  }

  @Test func goesOnWhenItsSupervisorIsKilled() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let node = try s.lab.node("n1")
      let job = try await s.count("--steps 60 --save-at 10").id
      try await s.wait(job, until: "safe at step 10") { $0.checkpointStep == 10 }
      try await s.reached(step: 15)
      let supervisor = try #require(try s.supervisor(on: node))
      #expect(kill(supervisor, SIGKILL) == 0)
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.resumedFromStep == 10)
      #expect(try await s.client.run("\(job)").attempts.first?.outcome == .lost)
      try await s.expectOneCurve(job, steps: 60)
    }
  }

  @Test func saysThatAProgramIsNotThere() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let job = try await s.submit("name: typo\nrun: pyhton3 train.py\n").id
      let end = try await s.wait(job, .failed)
      #expect(end.reason == "LaunchFailed")
      #expect(end.reasonDetail?.contains("pyhton3") == true)
    }
  }
}
