import Dashboard
import Domain
import Testing
import Wire

struct ResumeCheckPageTests {
  @Test func theRunsPageHasTheLastVerdicts() throws {
    var run = Fixture.run
    let verdict = ResumeEvidence(
      original: [121: 1], replays: [[121: 2], [121: 2]], saved: IngredientReport(ranks: [0: ["optimizer": "a"]]),
      loaded: [IngredientReport(ranks: [0: ["optimizer": "<b>"]])]
    ).verdict()
    run.resumeChecks = [nil, verdict].map { verdict in
      ResumeCheckView(
        id: ResumeCheckID(3), run: run.id, checkpoint: CheckpointID(5), attemptNumber: 1, step: 120, steps: 50,
        metric: "loss", tolerance: 0, replays: [.init(job: JobID(18), state: .running, reason: nil)],
        requestedBy: "user:mira", createdAt: Fixture.now, verdict: verdict, endedAt: nil)
    }
    let html = try PageRenderer().run(RunContent(run: run, series: nil), at: Fixture.now, in: Fixture.frame)
    for words in ["UNDER WAY", "DIVERGED", "first ingredient that differs: optimizer", "step 120", "run-18"] {
      #expect(html.contains(words), "\(words)")
    }
    #expect(!html.contains("<b>)") && html.contains("&lt;b&gt;"))
    run.resumeChecks = []
    let bare = try PageRenderer().run(RunContent(run: run, series: nil), at: Fixture.now, in: Fixture.frame)
    #expect(!bare.contains("Resumes that were checked"))
  }
}
