import Domain
import Foundation
import Testing
import Wire

@testable import Dashboard

struct ArtifactPageTests {
  private func page(_ content: ArtifactContent?, _ change: (inout RunView) -> Void = { _ in }) throws -> String {
    var run = Fixture.run
    change(&run)
    return try PageRenderer().run(
      RunContent(run: run, series: nil, artifacts: content), at: Fixture.now, in: Fixture.frame)
  }

  @Test func eachFileHasASizeAndALinkAndSaysWhoLeftIt() throws {
    let html = try page(Fixture.artifacts)
    for words in [
      "<h2>Artifacts <span class=\"count\">4 files, 3.01 GiB</span></h2>",
      "href=\"/runs/17/artifacts/data?path=figures%2Fa%20%26%20b.svg&amp;attempt=2&amp;node=0\">"
        + "<bdi>figures/a &amp; b.svg</bdi></a>", "<td class=\"num\" data-label=\"Size\">48.0 KiB</td>",
      "<td class=\"num\" data-label=\"Attempt\">2</td>", "<td data-label=\"Node\">n2</td>",
      "<td data-label=\"Node\">node 5</td>",
      "Not kept: attempt 1, node n2: the lease ended before all artifacts were in the store",
      "<code class=\"nowrap\">baton run artifacts 17 --into FOLDER</code>",
      "href=\"/runs/17#artifacts\">4 files, 3.01 GiB</a>",
    ] {
      #expect(html.contains(words), "\(words)")
    }
    #expect(!html.contains("more are not listed"))
  }

  @Test func whatDoesNotMatterIsNotSaid() throws {
    let one = ArtifactContent(items: [ArtifactView(path: "a", bytes: .zero, attempt: 1, nodeRank: 0)])
    let html = try page(one) { $0.attempts = [$0.attempts[0]] }
    let section = try #require(html.firstRange(of: #/<section id="artifacts">(?s:.)*?<\/section>/#).map { html[$0] })
    #expect(section.contains("1 file") && !section.contains("Attempt") && !section.contains("Node"))
  }

  @Test func ofVeryManyTheFirstAreListedAndACommandForAll() throws {
    let html = try page(Fixture.manyArtifacts)
    #expect(html.components(separatedBy: "/artifacts/data?").count == ArtifactsModel.shownMost + 1)
    for words in [
      "2\u{202F}300 more are not listed here. There are more than this page looks at.", "2\u{202F}400 files, ",
      " and more</span>", "<code class=\"nowrap\">baton run artifacts 17</code>",
    ] {
      #expect(html.contains(words), "\(words)")
    }
  }

  @Test func whereThereIsNoneItSaysHowThereWillBe() throws {
    let none = ArtifactContent(items: [])
    #expect(try page(none).contains("No artifact yet") && page(none).contains("BATON_ARTIFACTS_DIR"))
    let over = try page(none) { $0.job.state = .completed }
    #expect(over.contains("No artifact</p>") && !over.contains("more are not listed"))
    // None have run yet.
    #expect(!(try page(nil)).contains("Artifacts"))
  }

  @Test func aStoreThatIsAwayIsNotAnEmptyOne() throws {
    let html = try page(ArtifactContent(items: [], isWhole: false, problem: "it has not answered within 3 s"))
    #expect(html.contains("could not tell what there is: it has not answered within 3 s"))
    #expect(html.contains("To ask again: <code class=\"nowrap\">baton run artifacts 17</code>"))
    #expect(!html.contains("No artifact"))
  }
}
