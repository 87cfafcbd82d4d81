import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// Proofs that a resumed run equals one that went on, and what is named where it does not.
@Suite struct VerifyResumeTests {
  /// A run by `forgetful.py`, which saved step 20 and went on to 60.
  private func original(_ s: SystemFixture, _ flags: String = "") async throws -> JobID {
    try await s.lease()
    let job = try await s.submit(
      """
      name: by hand
      resources: {nodes: 1, gpus_per_node: 0}
      run: \(Places.programsFolder)/forgetful.py --events \(s.programs.folder) \(flags)

      """
    ).id
    try await s.wait(job, .completed)
    return job
  }

  /// What `baton run verify-resume` says where the replays forget `what`.
  private func verify(
    _ s: SystemFixture, _ job: JobID, forgetting what: String?, _ more: String...
  ) async throws -> ProgramResult {
    let path = s.programs.folder + "/forget"
    if let what {
      try what.write(toFile: path, atomically: true, encoding: .utf8)
    } else if FileManager.default.fileExists(atPath: path) {
      try FileManager.default.removeItem(atPath: path)
    }
    return try await s.baton(["run", "verify-resume", "\(job.rawValue)@20", "--steps", "30"] + more)
  }

  @Test func namesTheIngredientThatWasLost() async throws {
    try await SystemFixture.with(limit: .seconds(300)) { s in
      let job = try await original(s)
      let whole = try await verify(s, job, forgetting: nil)
      #expect(whole.status == 0 && whole.output.contains("bitwise equal"), "\(whole.output)")
      let planted = [
        ("weights", "weights"), ("optimizer", "optimizer"), ("scheduler", "optimizer"), ("rng", "RNG stream"),
        ("data_order", "data order"), ("loss_scale", "loss scale"), ("world_size", "world size"),
        ("library", "library version"),
      ]
      for (what, title) in planted {
        let said = try await verify(s, job, forgetting: what)
        #expect(said.status == 1 && said.output.contains("diverged"), "\(what): \(said.output)")
        #expect(said.output.contains("first ingredient that differs: \(title)\n"), "\(what): \(said.output)")
      }
      let chance = try await verify(s, job, forgetting: "chance")
      #expect(chance.status == 1 && chance.output.contains("is not deterministic"), "\(chance.output)")
      let close = try await verify(s, job, forgetting: "library", "--tolerance", "1e-6")
      #expect(close.status == 0 && close.output.contains("within tolerance"), "\(close.output)")
      let run = try await s.client.run("\(job)")
      #expect(run.resumeChecks?.count == planted.count + 3)
      #expect(run.resumeChecks?.last?.verdict?.outcome == .equal)
      let shown = try await s.baton("run", "show", "\(job.rawValue)")
      #expect(shown.output.contains("RESUME CHECK") && shown.output.contains("within tolerance"))
      // A replay is a run of its own, which begins at the checkpoint and leaves nothing behind that holds it.
      let replay = try await s.client.run("\(try #require(run.resumeChecks?.last?.replays.first).job)")
      #expect(replay.attempts.map(\.resumedFromStep) == [20])
      // It has ten more steps, and may do them before it hears that nobody wants them.
      #expect([.cancelled, .completed].contains(replay.job.state))
      #expect(run.checkpoints.first { $0.step == 20 }?.pins?.isEmpty ?? true)
    }
  }

  @Test func saysWhatItCannotProveAndWhatItCannotName() async throws {
    try await SystemFixture.with { s in
      let job = try await original(s, "--silent")
      let silent = try await verify(s, job, forgetting: "optimizer")
      #expect(silent.status == 1 && silent.output.contains("tells no ingredients"), "\(silent.output)")
      let far = try await s.baton("run", "verify-resume", "\(job.rawValue)@20", "--steps", "50")
      #expect(far.status == 75 && far.output.contains("went on for 40 steps"), "\(far.output)")
      let none = try await s.baton("run", "verify-resume", "\(job.rawValue)@21", "--steps", "5")
      #expect(none.status == 65 && none.output.contains("of step 20"), "\(none.output)")
    }
  }

  @Test func aReplayThatFailsProvesNothing() async throws {
    try await SystemFixture.with { s in
      let job = try await original(s)
      // Without a lease replays only wait.
      _ = try await s.client.deleteLease("first")
      let check = try await s.client.verifyResume("\(job)", ResumeCheckRequest(step: 20, steps: 30))
      let run = try await s.client.run("\(job)")
      #expect(run.checkpoints.first { $0.step == 20 }?.pins?.compactMap(\.run) == check.replays.map(\.job.run))
      _ = try await s.client.cancel("\(check.replays[0].job)")
      var last: ResumeCheckView?
      for try await view in try await s.client.watchResumeCheck("\(check.id)") { last = view }
      let verdict = try #require(last?.verdict)
      #expect(verdict.outcome == .failed && verdict.detail.contains("\(check.replays[0].job)"), "\(verdict)")
      #expect(last?.replays.map(\.state) == [.cancelled, .cancelled])
    }
  }

  private static func runs(_ program: String, _ arguments: [String], in folder: String? = nil) -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
    do { try process.run() } catch { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }

  @Test(arguments: [TestPython.debian, TestPython.pytorch].compactMap(\.self))
  func theHelperForPythonKeepsItsPromises(with python: String) {
    #expect(Self.runs(python, ["-m", "unittest", "-v", "test_baton"], in: Places.programsFolder))
  }

  @Test(.enabled(if: TestPython.hasTorch, TestPython.debianAdvice))
  func aPyTorchRunGoesOnBitByBitInTheMiddleOfAnEpochOverThreeLeases() async throws {
    try await SystemFixture.with(limit: .seconds(300)) { s in
      func job(_ name: String, _ flags: String) -> String {
        """
        name: \(name)
        resources: {nodes: 1, gpus_per_node: 0}
        run: \(TestPython.debian) \(Places.repository)/examples/python/train.py --steps 300 \(flags)
        env: {OMP_NUM_THREADS: "1"}
        seeds: {global: 7}

        """
      }
      try await s.lease("first", seconds: 16)
      try await s.lease("second", seconds: 20, startIn: 16)
      try await s.lease("third", seconds: 3600, startIn: 36)
      let resumed = try await s.submit(job("resumed", "--pace 0.12")).id
      try await s.wait(resumed, .completed)
      let run = try await s.client.run("\(resumed)")
      #expect(run.attempts.map(\.outcome) == [.leaseEnded, .leaseEnded, .completed], "\(run.attempts.map(\.detail))")
      #expect(run.stepsRedone == 0)
      let whole = try await s.submit(job("uninterrupted", "--save-every 60")).id
      try await s.wait(whole, .completed)
      let series = try await s.client.metrics("\(resumed)", "loss")
      #expect(series.steps == Array(1...300))
      #expect(series.values == (try await s.client.metrics("\(whole)", "loss")).values)
      let said = try await s.baton("run", "verify-resume", "\(whole.rawValue)@240", "--steps", "50")
      #expect(said.status == 0 && said.output.contains("bitwise equal"), "\(said.output)")
    }
  }
}
