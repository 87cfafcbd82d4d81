import Domain
import Foundation
import Testing
import Wire

@testable import Commands

@Suite struct ResumeCheckTextTests {
  private func check(_ verdict: ResumeVerdict?) -> ResumeCheckView {
    ResumeCheckView(
      id: ResumeCheckID(3), run: RunID(17), checkpoint: CheckpointID(5), attemptNumber: 1, step: 120, steps: 2,
      metric: "loss", tolerance: 0,
      replays: [18, 19].map { .init(job: JobID($0), state: .cancelled, reason: "Cancelled") },
      requestedBy: "user:ada", createdAt: Samples.now, verdict: verdict, endedAt: verdict.map { _ in Samples.now })
  }

  private func verdict(_ replay: [Int64: Double], loaded: String = "a") -> ResumeVerdict {
    ResumeEvidence(
      original: [121: 1, 122: 0.5], replays: [replay, replay],
      saved: IngredientReport(ranks: [0: ["rng.torch": "a"], 1: ["rng.torch": "a"]]),
      loaded: Array(repeating: IngredientReport(ranks: [0: ["rng.torch": loaded], 1: ["rng.torch": loaded]]), count: 2)
    ).verdict()
  }

  @Test func saysWhatCameOfItAndWhatWasLost() {
    #expect(ResumeCheckText.begun(check(nil)) == "check-3: job-18 and job-19 replay 2 steps of run-17 from step 120")
    let equal = ResumeCheckText.verdict(check(verdict([121: 1, 122: 0.5])))
    #expect(equal.hasPrefix("run-17@120: bitwise equal: 2 steps after the checkpoint are equal in every bit\n"))
    let lost = ResumeCheckText.verdict(check(verdict([121: 1, 122: 0.25], loaded: "b")))
    let named = "first ingredient that differs: RNG stream\n  RNG stream, rng.torch, rank 0,1: saved a, loaded b"
    #expect(lost.contains(named))
    #expect(lost.contains("diverged") && lost.contains("of rank 0, 1") && lost.contains("step 122: 0.5 and 0.25"))
    let failed = ResumeCheckText.verdict(check(.failed("job-18 was cancelled")))
    #expect(failed == "run-17@120: not proved: job-18 was cancelled")
  }

  @Test func listsTheNewestProofs() throws {
    let times = TimeText(now: Samples.now, zone: try #require(TimeZone(identifier: "UTC")))
    let checks = [check(nil), check(verdict([121: 1], loaded: "b"))]
    let text = ResumeCheckText.table(checks, times).rendered(width: nil)
    for words in ["under way", "120+2", "diverged", "RNG stream", "no value at step 122"] {
      #expect(text.contains(words), "\(words): \(text)")
    }
  }

  @Test(arguments: ["17", "17@", "@5", "17@x", "17@-1", "1@2@3"])
  func refusesWhatIsNoPlaceInARun(text: String) {
    #expect(throws: (any Error).self) { try RunVerifyResume.Place(text) }
  }
}
