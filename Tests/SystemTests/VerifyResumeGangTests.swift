import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// Proofs that a run of several ranks goes on as it did: what one rank lost is named, with the rank.
@Suite struct VerifyResumeGangTests {
  /// A run of two nodes by `forgetful_gang.py`, which saved step 20 and went on to 60.
  private func original(_ s: SystemFixture, _ flags: String) async throws -> JobID {
    let job = try await s.submit(
      """
      name: gang
      resources: {nodes: 2, gpus_per_node: 0}
      launcher: {kind: torchrun}
      run: \(TestPython.debian) \(Places.programsFolder)/forgetful_gang.py \(flags)
      env: {OMP_NUM_THREADS: "1"}
      seeds: {global: 7}

      """
    ).id
    try await s.wait(job, .completed)
    return job
  }

  private func verify(_ s: SystemFixture, _ job: JobID) async throws -> ProgramResult {
    try await s.baton("run", "verify-resume", "\(job.rawValue)@20", "--steps", "30")
  }

  /// A run that keeps everything is equal; one whose rank 1 loses `planted` is not, and the verdict says of whom.
  private func expectProof(
    _ flags: String, losing planted: String, names ingredient: Ingredient, files: [String]
  ) async throws {
    try await SystemFixture.with(nodes: 2, limit: .seconds(300)) { s in
      try await s.lease()
      let whole = try await original(s, flags)
      let checkpoint = try #require(try await s.client.checkpoints(of: "\(whole)").items.first { $0.step == 20 })
      let fetched = s.folder + "/step-20"
      let download = try await s.baton("checkpoint", "download", "\(checkpoint.id)", fetched)
      #expect(download.status == 0, "\(download.output)")
      let found = FileManager.default.enumerator(atPath: fetched)?.compactMap { $0 as? String } ?? []
      #expect(found.filter { $0.hasSuffix("training.pt") }.sorted() == files, "\(found)")
      let said = try await verify(s, whole)
      #expect(said.status == 0 && said.output.contains("bitwise equal"), "\(said.output)")
      #expect(!said.output.contains("this differs"), "\(said.output)")

      let lossy = try await original(s, "\(flags) --lose \(planted):1")
      let lost = try await verify(s, lossy)
      #expect(lost.status == 1 && lost.output.contains("diverged"), "\(lost.output)")
      #expect(lost.output.contains("first ingredient that differs: \(ingredient.title)\n"), "\(lost.output)")
      #expect(lost.output.contains("\(ingredient.title), \(planted), rank 1: saved "), "\(lost.output)")
      let verdict = try #require(try await s.client.run("\(lossy)").resumeChecks?.first?.verdict)
      #expect(verdict.isDeterministic == true)
      #expect(verdict.ingredients.map(\.name) == [planted] && verdict.ingredients.first?.ranks == [1], "\(verdict)")
      #expect(verdict.detail.contains(" of rank 1: saved as "), "\(verdict.detail)")
      for replay in try #require(try await s.client.run("\(whole)").resumeChecks?.first).replays {
        let run = try await s.client.run("\(replay.job)")
        #expect(run.attempts.map(\.nodes.count) == [2] && run.attempts.map(\.resumedFromStep) == [20])
      }
    }
  }

  @Test(.enabled(if: TestPython.hasTorch, TestPython.debianAdvice))
  func namesTheRankOfAGangThatLostItsStream() async throws {
    try await expectProof("", losing: "rng.torch", names: .rng, files: ["training.pt"])
  }

  @Test(.enabled(if: TestPython.hasTorch, TestPython.debianAdvice))
  func namesTheRankWhoseShardMissesSomething() async throws {
    try await expectProof(
      "--sharded", losing: "optimizer", names: .optimizer, files: ["rank-0/training.pt", "rank-1/training.pt"])
  }

  @Test(.enabled(if: TestPython.hasTorch, TestPython.debianAdvice))
  func namesTheRankThatTellsLessThanTheOthersAndSaysWhen() async throws {
    try await SystemFixture.with(nodes: 2, limit: .seconds(300)) { s in
      try await s.lease()
      // What rank 1 never saved it cannot load: its momentum begins anew.
      let unsaved = try await original(s, "--sharded --hide optimizer:1:save")
      let lost = try await verify(s, unsaved)
      #expect(lost.status == 1 && lost.output.contains("diverged"), "\(lost.output)")
      #expect(lost.output.contains("first ingredient that differs: optimizer\n"), "\(lost.output)")
      let line = "optimizer, optimizer, rank 1: not told when it was saved, loaded "
      #expect(lost.output.contains(line), "\(lost.output)")

      let silent = try await original(s, "--sharded --hide all:1:load")
      let untold = try await verify(s, silent)
      #expect(untold.status == 0 && untold.output.contains("this was not told both times"), "\(untold.output)")
      let verdict = try #require(try await s.client.run("\(silent)").resumeChecks?.first?.verdict)
      #expect(verdict.ingredients.map(\.name).starts(with: ["weights", "optimizer"]), "\(verdict)")
      #expect(verdict.ingredients.allSatisfy { $0.ranks == [1] && $0.saved != nil && $0.loaded == nil }, "\(verdict)")
    }
  }
}
