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
    return [
      ReportContent(run: Fixture.run, curves: [loss, Fixture.series("test_accuracy", every: 100)]),
      ReportContent(run: Fixture.emptyRunContent.run, curves: []),
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
    try Data(PageRenderer().report(contents, at: Fixture.now).utf8)
      .write(to: folder.appendingPathComponent("report.html"))
  }
}
