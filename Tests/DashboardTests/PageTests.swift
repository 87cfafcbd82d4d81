import Dashboard
import Domain
import Foundation
import Testing
import Wire

struct PageTests {
  @Test func rendersEveryPageFullAndEmpty() throws {
    for (name, html) in Fixture.pages(try PageRenderer()) {
      #expect(html.hasPrefix("<!doctype html>"), "\(name)")
      #expect(html.contains("<h1"), "\(name)")
      #expect(html.hasSuffix("</html>\n"), "\(name)")
      #expect(!html.contains("Optional("), "\(name)")
      #expect(!html.contains("{{"), "\(name)")
    }
  }

  @Test func saysWhatToDoWhereThereIsNothing() throws {
    let pages = Dictionary(uniqueKeysWithValues: Fixture.pages(try PageRenderer()).map { ($0.name, $0.html) })
    #expect(try #require(pages["overview-empty"]).contains("baton submit train.yaml"))
    #expect(try #require(pages["queue-empty"]).contains("baton submit train.yaml"))
    #expect(try #require(pages["leases-empty"]).contains("baton lease create"))
    #expect(try #require(pages["leases-bare"]).contains("baton node add"))
    #expect(try #require(pages["nodes-empty"]).contains("baton node add"))
    #expect(try #require(pages["run-empty"]).contains("baton explain job-19"))
    #expect(try #require(pages["login"]).contains("batond token create"))
  }

  @Test func refersOnlyToItsOwnServerAndFromTheRoot() throws {
    for (name, html) in Fixture.pages(try PageRenderer()) {
      for link in try addresses(in: html) {
        #expect(link.hasPrefix("/") && !link.hasPrefix("//") || link == "data:,", "\(name): \(link)")
      }
    }
  }

  @Test func keepsToTheContentSecurityPolicy() throws {
    for (name, html) in Fixture.pages(try PageRenderer()) {
      #expect(!html.contains(" style="), "\(name)")
      #expect(!html.contains("<style"), "\(name)")
      #expect(html.matches(of: #/ on[a-z]+=/#).isEmpty, "\(name)")
      #expect(html.matches(of: #/<script(?! src="\/assets\/baton\.js" defer><\/script>)/#).isEmpty, "\(name)")
    }
  }

  @Test func namesStandInGPUs() throws {
    let html = try PageRenderer().nodes(Fixture.nodes, at: Fixture.now, in: Fixture.frame)
    let words = try #require(html.range(of: "Lab GPU"))
    #expect(html[words.upperBound...].hasPrefix(" <span class=\"chip\">stand-in</span>"))
    #expect(html.components(separatedBy: "class=\"chip\">stand-in").count == 2)
  }

  @Test func tellsWhatWouldBeLost() throws {
    let html = try PageRenderer().overview(Fixture.overview, at: Fixture.now, in: Fixture.frame)
    #expect(html.contains("<strong class=\"risk\">87 steps</strong>"))
    #expect(html.contains("not known yet"))
  }

  @Test func tellsTheLossInGPUHoursToo() throws {
    var overview = Fixture.overview
    overview.jobs[0].loss = Loss(steps: 120, time: .minutes(15), gpuTime: .minutes(30))
    let html = try PageRenderer().overview(overview, at: Fixture.now, in: Fixture.frame)
    #expect(html.contains("<strong class=\"risk\">120 steps</strong><small>0.5 GPU-h</small>"))
    #expect(html.contains("steps since the last durable checkpoints (0.5 GPU-h)"))
  }

  @Test func saysWhatKeepsACheckpointFromTheStore() throws {
    var content = Fixture.runContent
    content.run.job.attempt?.checkpointTrouble = CheckpointTrouble(step: 1200, isRejected: false, reason: "503 & more")
    content.run.checkpoints[0].rejection = "it is empty"
    let html = try PageRenderer().run(content, at: Fixture.now, in: Fixture.frame)
    #expect(html.contains("Checkpoint of step 1200 waits for the object store: 503 &amp; more"))
    #expect(html.contains("<small>rejected: it is empty</small>"))
  }

  @Test func showsReasonsAsBadgesWithWords() throws {
    let html = try PageRenderer().queue(Fixture.jobs, at: Fixture.now, in: Fixture.frame)
    for job in Fixture.jobs {
      #expect(html.contains(job.state.rawValue))
      #expect(job.reason.isEmpty || html.contains(job.reason))
    }
    #expect(html.contains("staged 700 MiB of 2.00 GiB"))
  }

  /// Writes all pages to `BATON_PAGES_OUT`, for a person to look at.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["BATON_PAGES_OUT"] != nil))
  func writesPagesToLookAt() throws {
    let folder = URL(fileURLWithPath: try #require(ProcessInfo.processInfo.environment["BATON_PAGES_OUT"]))
    try FileManager.default.createDirectory(
      at: folder.appendingPathComponent("assets"), withIntermediateDirectories: true)
    for asset in Asset.allCases {
      try Data(asset.bytes).write(to: folder.appendingPathComponent("assets/\(asset.rawValue)"))
    }
    for (name, html) in Fixture.pages(try PageRenderer()) {
      let local = html.replacing("/assets/", with: "assets/")
      try Data(local.utf8).write(to: folder.appendingPathComponent("\(name).html"))
    }
  }

  private func addresses(in html: String) throws -> [String] {
    html.matches(of: #/(?:href|src|action)="([^"]*)"/#).map { String($0.output.1) }
  }
}
