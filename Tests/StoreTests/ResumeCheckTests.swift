import Domain
import Postgres
import Store
import Testing

/// Proofs that a run goes on as it should, and what ranks said that they had loaded.
@Suite(.timeLimit(.minutes(5))) struct ResumeCheckTests {
  private func wanted(_ f: StoreFixture, _ checkpoint: CheckpointID, data: [DataRequest] = []) -> NewResumeCheck {
    let replays = (1...2).map { number in
      let spec = JobSpec(name: "train", command: ["train"])
        .replay(number: number, of: RunID(1), step: 10, data: data)
      return JobSubmission(
        project: f.project, user: f.user, spec: spec, specText: "name: train", startCheckpoint: checkpoint)
    }
    return NewResumeCheck(
      checkpoint: checkpoint, steps: 5, metric: "loss", tolerance: 0,
      saved: IngredientReport(ranks: [0: ["weights": "w"]]), replays: replays)
  }

  @Test func aProofIsOpenUntilItHasItsOneVerdict() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      let checkpoint = try await f.commit(attempt.id, step: 10).checkpoint
      let check = try await f.store.addResumeCheck(wanted(f, checkpoint), by: f.actor)
      #expect(check.attempt == attempt.id && check.step == 10 && check.lastStep == 15 && check.verdict == nil)
      #expect(check.saved == IngredientReport(ranks: [0: ["weights": "w"]]))
      #expect(try await f.store.openResumeChecks() == [check])
      for job in check.replays { #expect(try await f.store.run(job.run).startCheckpoint == checkpoint) }
      #expect(try await f.store.pins(of: [checkpoint])[checkpoint]?.count == 2)
      let verdict = ResumeVerdict.failed("a replay was cancelled")
      #expect(try await f.store.endResumeCheck(check.id, verdict, by: f.epoch) == .done(check.id))
      #expect(try await f.store.endResumeCheck(check.id, verdict, by: f.epoch) == .stale)
      #expect(try await f.store.openResumeChecks() == [])
      #expect(try await f.store.resumeChecks(of: attempt.job).map(\.verdict) == [verdict])
      #expect(try await f.store.resumeCheck(check.id).endedAt != nil)
      await #expect(throws: StoreError.notFound(kind: "check", name: "check-99")) {
        _ = try await f.store.resumeCheck(ResumeCheckID(99))
      }
    }
  }

  @Test func nothingIsSubmittedForAProofThatCannotBe() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      let checkpoint = try await f.commit(attempt.id, step: 10).checkpoint
      await #expect(throws: StoreError.self) {
        _ = try await f.store.addResumeCheck(wanted(f, checkpoint, data: [DataRequest(name: "none")]), by: f.actor)
      }
      #expect(try await f.number("SELECT count(*) AS n FROM job") == 1)
      #expect(try await f.number("SELECT count(*) AS n FROM resume_check") == 0)
    }
  }

  @Test func aVerdictAboutWhatIsNoNumberIsKept() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      let checkpoint = try await f.commit(attempt.id, step: 10).checkpoint
      let check = try await f.store.addResumeCheck(wanted(f, checkpoint), by: f.actor)
      let verdict = ResumeEvidence(
        original: [11: 1], replays: [[11: -.infinity], [11: .nan]], tolerance: 0.5
      ).verdict()
      #expect(try await f.store.endResumeCheck(check.id, verdict, by: f.epoch) == .done(check.id))
      #expect(try await f.store.resumeCheck(check.id).verdict == verdict)
    }
  }

  @Test func keepsWhatRanksSaidLastThatTheyHadLoaded() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      #expect(try await f.store.loadedState(of: attempt.id) == nil)
      let node = try #require(attempt.nodes.first).node
      var batch = MetricBatch(attempt: attempt.id, node: node, fromOffset: 0, toOffset: 5, points: [])
      batch.loaded = [
        LoadedState(rank: 0, step: 3, ingredients: ["weights": "a"]),
        LoadedState(rank: 1, step: 3, ingredients: ["weights": "b"]),
        LoadedState(rank: 0, step: 3, ingredients: ["weights": "c"]),
      ]
      #expect(try await f.store.ingest(batch, by: f.epoch) == .done(0))
      #expect(try await f.store.ingest(batch, by: f.epoch) == .stale)
      let report = IngredientReport(ranks: [0: ["weights": "c"], 1: ["weights": "b"]])
      #expect(try await f.store.loadedState(of: attempt.id) == report)
    }
  }
}
