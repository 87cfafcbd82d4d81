import Dashboard
import Domain
import Foundation
import Testing
import Wire

struct ReportTests {
  private var contents: [ReportContent] {
    var loss = Fixture.series("loss")
    loss.total = 10_000_000
    loss.values[600] = .nan
    loss.boundaries = [
      CurveBoundary(
        before: 400, after: 401, from: 1, to: 2, cause: .leaseEnded,
        detail: "the lease ended, saved before at step 400", stepsRedone: 12, stoodStill: .minutes(63),
        besideGap: .seconds(74)),
      CurveBoundary(before: 800, after: 801, from: 2, to: 3, cause: .leaseEnded, stepsRedone: 0),
    ]
    let artifacts = ArtifactListing(
      now: Fixture.now,
      items: [
        ArtifactView(path: "figures/<loss>.png", bytes: ByteCount(3072), attempt: 2, nodeRank: 0),
        ArtifactView(path: "figures/<loss>.png", bytes: ByteCount(3070), attempt: 2, nodeRank: 1),
        ArtifactView(path: "predictions/held-back/epoch-12.parquet", bytes: .mebibytes(71), attempt: 3, nodeRank: 0),
      ],
      missing: [MissingArtifacts(attempt: 1, node: "n2", reason: "no time was left for 2 of 5 files")],
      unknown: "it is slow")
    return [
      ReportContent(
        run: Fixture.run, curves: [loss, Fixture.series("test_accuracy", every: 100)], artifacts: artifacts),
      ReportContent(
        run: Fixture.emptyRunContent.run, curves: [], artifacts: ArtifactListing(now: Fixture.now, items: [])),
    ]
  }

  @Test func holdsAllItNeeds() throws {
    let page = try PageRenderer().report(contents, at: Fixture.now)
    #expect(page.hasPrefix("<!doctype html>") && page.hasSuffix("</html>\n"))
    for mark in ["<script", "src=", "url(", "@import", "<link rel=\"stylesheet\"", "Optional(", "{{"] {
      #expect(!page.contains(mark), "\(mark)")
    }
    let links = page.matches(of: #/(?:href|action)="([^"]*)"/#).map { String($0.output.1) }
    #expect(links.allSatisfy { $0.hasPrefix("#") || $0 == "data:," }, "\(links)")
    #expect(page.contains("default-src 'none'"))
  }

  @Test func tellsWhatRanksLeft() throws {
    var contents = contents
    let page = try PageRenderer().report(contents, at: Fixture.now)
    for words in [
      "<h3>Artifacts <span class=\"count\">3 files, 71.0 MiB and more</span></h3>",
      "<bdi>figures/&lt;loss&gt;.png</bdi>", "Not kept: attempt 1, node n2: no time was left for 2 of 5 files",
      "There may be more: it is slow.",
    ] {
      #expect(page.contains(words), "\(words)")
    }
    // What left none, or does not tell, has no such section.
    #expect(page.components(separatedBy: "<h3>Artifacts").count == 2)
    contents[0].artifacts = nil
    #expect(!(try PageRenderer().report(contents, at: Fixture.now)).contains("<h3>Artifacts"))
  }

  /// Three runs; the second has no accuracy, the third nothing at all.
  private var several: [ReportContent] {
    var other = Fixture.run
    (other.id, other.job.name) = (RunID(18), "other <net>")
    var loss = Fixture.series("loss", every: 3)
    loss.values = loss.values.map { $0 * 1.2 }
    loss.boundaries = [
      CurveBoundary(before: 580, after: 583, from: 1, to: 2, cause: .lost, stepsRedone: 41, stoodStill: .minutes(9))
    ]
    return [contents[0], ReportContent(run: other, curves: [loss]), contents[1]]
  }

  @Test func drawsTheCurvesOfAllRunsOverEachOther() throws {
    let page = try PageRenderer().report(several, at: Fixture.now)
    let overlay = try #require(page.firstRange(of: #/<section class="panel">(?s:.)*?<\/section>/#).map { page[$0] })
    for words in [
      "<h2><bdi>loss</bdi> <span class=\"count\">2 runs</span></h2>", "loss by step, 2 runs",
      "class=\"curve series-0 dash-0\"",
      "class=\"curve series-1 dash-1\"", "<a href=\"#run-18\">run-18 <bdi>other &lt;net&gt;</bdi></a>",
      // The cost has no room before the next boundary; a tip of the mouse and the table tell it.
      "\u{2192} 2 LEASE_ENDED</text>", "12 steps redone, 1h 3m still</title>",
      "\u{2192} 3 LEASE_ENDED, no step redone</text>", "\u{2192} 2 LOST, 41 steps redone, 9m still",
      "run-18: attempt 2 went on here; before it: LOST; 41 steps redone, 9m still",
      "Without a value of it: run-19.",
    ] {
      #expect(overlay.contains(words), "\(words)")
    }
    #expect(!page.contains("<h2><bdi>test_accuracy</bdi> <span class=\"count\">1"))
    #expect(!(try PageRenderer().report(contents, at: Fixture.now)).contains("loss by step, 2 runs"))
  }

  /// Two runs with 60 metrics each, of which two are drawn.
  private var crowded: [ReportContent] {
    func run(_ id: Int64, _ metrics: [String]) -> ReportContent {
      var run = Fixture.run
      run.id = RunID(id)
      run.metrics = metrics.map { MetricSummary(metric: $0, count: 9, firstStep: 1, lastStep: 9, lastValue: 0.5) }
      return ReportContent(run: run, curves: ["loss", "val/loss"].map { Fixture.series($0) })
    }
    let layers = (1...58).map { "grad/layer.\($0 + 100)" }
    return [run(17, layers + ["val/loss", "loss"]), run(18, layers.dropLast() + ["val/loss", "loss", "<own>"])]
  }

  @Test func ofVeryManyMetricsItDrawsSomeAndFoldsTheRest() throws {
    let page = try PageRenderer().report(crowded, at: Fixture.now)
    #expect(page.matches(of: #/<div class="chart[ "]/#).count == 6)
    for words in [
      "<summary>57 more metrics that two runs or more have: last values</summary>", "Drawn: 2 of 61 metrics.",
      "<td class=\"value\"><b>grad/layer.101</b></td><td class=\"num\">0.5</td><td class=\"num\">0.5</td>",
      "<summary>40 more metrics</summary>", "baton run report --metric NAME", "&lt;own&gt;",
    ] {
      #expect(page.contains(words), "\(words)")
    }
    // What only one run has is among that one's results.
    #expect(!page.contains("<b>grad/layer.158</b></td><td class=\"num\">0.5</td><td class=\"num\">\u{2013}"))
    var few = crowded
    for place in few.indices { few[place].run.metrics.removeAll { !["loss", "val/loss"].contains($0.metric) } }
    let whole = try PageRenderer().report(few, at: Fixture.now)
    #expect(!whole.contains("class=\"folded\"") && !whole.contains("Drawn:"))
  }

  @Test func showsWhatARunIsJudgedByFirst() {
    func metrics(_ names: [String]) -> [MetricSummary] {
      names.map { MetricSummary(metric: $0, count: 1, firstStep: 1, lastStep: 1, lastValue: 1) }
    }
    let first = metrics([
      "lr", "grad/layer.1", "val_time", "Accuracy", "train_loss", "loss", "val/accuracy", "test_accuracy", "alone",
    ])
    let second = metrics(["lr", "loss", "test_accuracy", "grad/layer.1"])
    #expect(
      MetricOrder.names(of: [first, second]) == [
        "loss", "train_loss", "test_accuracy", "val/accuracy", "Accuracy", "val_time", "lr", "grad/layer.1", "alone",
      ])
    #expect(MetricOrder.names(of: []).isEmpty)
  }

  @Test func tellsWhatAReviewerAsks() throws {
    let page = try PageRenderer().report(contents, at: Fixture.now)
    for words in [
      "mnist-cnn", "LEASE_ENDED \u{2192} attempt 2", "12 steps redone, 1h 3m still", "saved before at step 400",
      "drawn from 1\u{202F}187 of them", "No numbers", "8d6e430f2b7c4d1e", "every: 5m", "4f8b1c6e0f8b1c6e", "A100",
      "bert-base", "It has not run yet", "10\u{202F}000\u{202F}000 values",
    ] {
      #expect(page.contains(words), "\(words)")
    }
    let titled = try PageRenderer().report(contents, title: "A <b> & C", at: Fixture.now)
    #expect(titled.contains("<h1>A &lt;b&gt; &amp; C</h1>") && titled.contains("<title>A &lt;b&gt; &amp; C</title>"))
  }

  /// Writes a report to `BATON_PAGES_OUT`, for a person to look at.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["BATON_PAGES_OUT"] != nil))
  func writesAReportToLookAt() throws {
    let folder = URL(fileURLWithPath: try #require(ProcessInfo.processInfo.environment["BATON_PAGES_OUT"]))
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (name, runs) in [("report", contents), ("report-several", several), ("report-crowded", crowded)] {
      try Data(PageRenderer().report(runs, at: Fixture.now).utf8)
        .write(to: folder.appendingPathComponent("\(name).html"))
    }
  }
}
