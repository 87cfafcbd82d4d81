import Domain
import Foundation
import Testing
import Wire

@testable import Commands

@Suite struct LineageTextTests {
  private let lineage = RunLineage(
    run: RunID(2),
    nodes: [
      .init(id: "run-1", kind: "run", title: "base", detail: "COMPLETED"),
      .init(id: "data-3", kind: "data", title: "mnist version 2", detail: "abc"),
      .init(id: "checkpoint-5", kind: "checkpoint", title: "step 300", detail: "DURABLE"),
      .init(id: "run-2", kind: "run", title: "tune \"x\"", detail: "RUNNING"),
      .init(id: "run-3", kind: "run", title: "base", detail: "COMPLETED"),
    ],
    edges: [
      .init(from: "data-3", to: "run-1", kind: "read"), .init(from: "data-3", to: "run-2", kind: "read"),
      .init(from: "run-1", to: "checkpoint-5", kind: "wrote", detail: "attempt 2 went on from it"),
      .init(from: "checkpoint-5", to: "run-2", kind: "started"), .init(from: "run-1", to: "run-3", kind: "reproduced"),
    ])

  @Test func drawsWhatCameFromWhatAndEachThingOnce() {
    let expected = """
      mnist version 2 (abc)
      ├─ run-1 base (COMPLETED)
      │  ├─ checkpoint-5 step 300 (DURABLE), attempt 2 went on from it
      │  │  └─ run-2 tune "x" (RUNNING), started from it  <
      │  └─ run-3 base (COMPLETED), does it again
      └─ run-2 tune "x" (RUNNING)  < (above)
      """
    #expect(LineageText.tree(lineage) == expected)
  }

  @Test func writesAGraphWithEverythingQuoted() {
    let dot = LineageText.dot(lineage)
    #expect(dot.hasPrefix("digraph lineage {"))
    #expect(dot.contains(#""run-2" [shape=box, label="run-2\ntune \"x\"\nRUNNING", style=bold];"#))
    #expect(dot.contains(#""checkpoint-5" -> "run-2" [label="started"];"#))
  }
}

@Suite struct ComparisonTextTests {
  private func comparison(equal: Bool) -> RunSetComparison {
    func run(_ id: Int64) -> RunSetComparison.Run {
      .init(
        id: RunID(id), name: "r\(id)", state: .completed, submittedAt: Samples.now, ranSeconds: 90, attempts: 1,
        cost: AttemptCost(nodeSeconds: 3600, gpuSeconds: 7200), tags: ["paper"])
    }
    return RunSetComparison(
      runs: [run(1), run(2)],
      differences: [.init(section: "job", key: "run", values: ["train --lr 1", "train --lr 2"])],
      files: [.init(run: RunID(2), path: "train.py", change: "changed", diff: "@@ -1,1 +1,1 @@\n-a\n+b")],
      results: [.init(metric: "loss", lastStep: [2, 2], last: [0.5, 0.25], lowest: [0.5, nil], highest: [1, 1])],
      metric: "loss",
      curves: [
        RunComparison(
          run: RunID(1), other: RunID(2), metric: "loss", stepsCompared: 2, stepsEqual: equal ? 2 : 1, onlyInRun: 0,
          onlyInOther: 0,
          firstDifference: equal ? nil : .init(step: 2, value: 0.5, otherValue: 0.25), largestDifference: 0.25)
      ])
  }

  private func text(_ comparison: RunSetComparison, hunks: Bool) throws -> String {
    let curve = MetricSeries(metric: "loss", steps: [1, 2], values: [1, 0.5], attempts: [1, 1])
    return ComparisonText.text(
      comparison, [curve, curve], TimeText(now: Samples.now, zone: try #require(TimeZone(identifier: "UTC"))),
      showsHunks: hunks)
  }

  @Test func tellsInputsCurvesAndResults() throws {
    let shown = try text(comparison(equal: false), hunks: true)
    for words in [
      "RUN-1", "train --lr 2", "M train.py  (run-2)", "+b", "a run-1 (r1)", "lowest", "0.25 at 2",
      "they part at step 2",
      "paper", "2.000",
    ] {
      #expect(shown.contains(words), "\(words)")
    }
    #expect(!(try text(comparison(equal: false), hunks: false)).contains("+b"))
  }

  @Test func isOneCurveOnlyWhereEveryRunHasIt() {
    #expect(ComparisonText.isOneCurve(comparison(equal: true)))
    #expect(!ComparisonText.isOneCurve(comparison(equal: false)))
    var without = comparison(equal: true)
    without.curves = []
    #expect(!ComparisonText.isOneCurve(without))
  }

  @Test func drawsSeveralCurvesByLetters() {
    let points = [Plot.Point(x: 0, y: 0), Plot.Point(x: 10, y: 10)]
    let other = [Plot.Point(x: 0, y: 10), Plot.Point(x: 10, y: 0)]
    let drawn = Plot(title: "t", xLabel: "step", points: points, overlays: [other]).rendered(width: 40, height: 5)
    #expect(drawn.contains("a") && drawn.contains("b"))
  }
}

@Suite struct CaptureTextTests {
  @Test func tellsWhatARunIsMadeOf() throws {
    var attempt = Samples.attempt(1, lease: "first", nodes: ["n1"], resumedFrom: 3)
    attempt.resumedFromRun = RunID(4)
    attempt.worldSize = 2
    attempt.cost = AttemptCost(nodeSeconds: 3600, gpuSeconds: 0)
    var run = RunView(
      id: RunID(17), job: Samples.job(.completed, checkpoint: 6, attempt: attempt, lastStep: 6), attempts: [attempt],
      checkpoints: [], metrics: [],
      provenance: RunProvenance(
        jobFile: "",
        source: SourceProvenance(
          code: CodeCapture(
            sha256: String(repeating: "ab", count: 32), bytes: .mebibytes(1), files: 3, folder: "", untracked: ["x"],
            leftOut: [.init(path: "big.bin", bytes: .gibibytes(1), reason: "larger than 4 MiB")])), datasets: [],
        seed: 7, nodes: []), stepsRedone: 0)
    run.tags = ["baseline"]
    run.notes = [RunNoteView(author: "user:ada", at: Samples.now, text: "one\n\u{1B}[31mtwo")]
    run.startedFrom = CheckpointRef(id: CheckpointID(5), run: RunID(4), step: 3, state: .durable)
    run.reproduces = RunID(3)
    run.provenance.environments = [
      EnvironmentView(
        id: "e", facts: ["python": "3.11.2", "cpu": "EPYC"], packages: ["numpy": "1.26"],
        places: [.init(attempt: 1, node: "n1")])
    ]
    let text = RunText.history(run, TimeText(now: Samples.now, zone: try #require(TimeZone(identifier: "UTC"))))
    for words in [
      "abababababab: 3 files", "1 unknown to git", "big.bin (larger than 4 MiB)", "baseline", "user:ada",
      "step 3 of run-4", "checkpoint-5", "run-3", "python 3.11.2", "1 package (n1)", "1.000 node hours",
    ] {
      #expect(text.contains(words), "\(words)")
    }
    #expect(!text.contains("\u{1B}[31m"))
  }
}
