import Domain
import Foundation
import Lab
import Testing
import Wire

/// The dashboard as a person sees it: pages of a whole product, in a real browser.
@Suite struct DashboardTests {
  /// What `browser.py` is told to look for.
  private struct Facts: Encodable {
    var nodes: [String]
    var lease: String
    /// A job with a curve that grows.
    var running: Int64
    var name: String
    /// A job that cannot run, and why.
    var waiting: Int64
    var waitingName: String
    var reason: String
    /// A group of two jobs that wait, and a value of its matrix.
    var group: Int64
    var groupName: String
    var groupValue: String
    /// A run that is over, the name of what its ranks left to be kept, and what that says.
    var kept: Int64
    var artifact: String
    var artifactText: String
    /// The token of somebody who may only look, and one of another project.
    var viewer: String
    var stranger: String
    /// A folder for pictures of the pages; none are taken without.
    var pictures: String?
  }

  /// What `browser.py` found.
  private struct Results: Decodable {
    struct Check: Decodable {
      var name: String
      var problem: String?
    }

    var checks: [Check]
  }

  /// `BATON_SCREENSHOTS` names a folder for pictures of all pages.
  @Test func showsAPersonEverythingInARealBrowser() async throws {
    try requireBrowser()
    try await SystemFixture.with(nodes: 2, limit: .seconds(240)) { s in
      try await s.lease("first-week")
      let name = "<img src=x onerror=alert(1)> & 'co'"
      let artifact = "<img src=x onerror=alert(1)> \"quoted\".html"
      let artifactText = "<script>document.title = 'broken'</script>\n"
      let kept = try await s.submit(leaving(artifact, artifactText, s)).id
      try await s.wait(kept, .completed)
      let running = try await s.submit(job(named: name, s.countingJob("--save-at 10"))).id
      // Nothing in it lets a line break.
      let waitingName = "waits-" + String(repeating: "x", count: 122)
      let waiting = try await s.submit(job(named: waitingName, s.countingJob(nodes: 3))).id
      try await s.wait(running, until: "safe") { $0.checkpointStep == 10 && $0.lastStep ?? 0 > 10 }
      let reason = try await s.wait(waiting, until: "told why it waits") { $0.reason == "TooManyNodes" }.reasonDetail
      let groupValue = "<b>\"loud\"</b>"
      let file = job(named: "many", s.countingJob(nodes: 3)) + "matrix: {kind: ['\(groupValue)', quiet]}\n"
      let submitted = try await s.batonSubmit(file)
      #expect(submitted.status == 0, "\(submitted.output)")
      let facts = Facts(
        nodes: ["n1", "n2"], lease: "first-week", running: running.rawValue, name: name, waiting: waiting.rawValue,
        waitingName: waitingName, reason: try #require(reason), group: 1, groupName: "many", groupValue: groupValue,
        kept: kept.rawValue, artifact: artifact, artifactText: artifactText,
        viewer: try await token(s, "--user", "guest", "--project", "lab", "--role", "viewer"),
        stranger: try await token(s, "--user", "other", "--project", "elsewhere"), pictures: try pictures())
      let checks = try await look(s, facts)
      #expect(!checks.isEmpty)
      for check in checks {
        #expect(check.problem == nil, "\(check.name): \(check.problem ?? "")")
      }
    }
  }

  /// `file` with another name for its job.
  private func job(named name: String, _ file: String) -> String {
    let quoted = name.replacing("'", with: "''")
    return file.replacing("name: counting\n", with: "name: '\(quoted)'\n")
  }

  /// A job whose ranks leave a file that says `text`.
  private func leaving(_ name: String, _ text: String, _ s: SystemFixture) throws -> String {
    let (script, source) = (s.folder + "/leave.sh", s.folder + "/left")
    try Data(text.utf8).write(to: URL(fileURLWithPath: source))
    try Data("cp '\(source)' \"$BATON_ARTIFACTS_DIR/$NAME\"\n".utf8).write(to: URL(fileURLWithPath: script))
    return "name: leaves\nresources: {nodes: 1}\nrun: bash \(script)\nenv: {NAME: '\(name)'}\n"
  }

  /// A token that is made so.
  private func token(_ s: SystemFixture, _ words: String...) async throws -> String {
    let made = try await SystemFixture.run(
      Places.find().bin + "/batond", ["token", "create", "--config", s.lab.layout.controllerConfiguration] + words)
    guard made.status == 0, let line = made.output.split(whereSeparator: \.isNewline).last else {
      throw SystemFailure("there is no token of \(words) (\(made.status)): \(made.output)")
    }
    return line.trimmingCharacters(in: .whitespaces)
  }

  private func requireBrowser() throws {
    let needed = ["/usr/bin/chromium", "/usr/bin/chromedriver", "/usr/lib/python3/dist-packages/selenium"]
    for path in needed where !FileManager.default.fileExists(atPath: path) {
      throw SystemFailure("\(path) is missing: run `make deps`, which installs what the tests of the dashboard need")
    }
  }

  private func pictures() throws -> String? {
    guard let folder = ProcessInfo.processInfo.environment["BATON_SCREENSHOTS"], !folder.isEmpty else { return nil }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    return folder
  }

  private func look(_ s: SystemFixture, _ facts: Facts) async throws -> [Results.Check] {
    let factsFile = "\(s.folder)/facts.json"
    let resultsFile = "\(s.folder)/results.json"
    try JSONEncoder().encode(facts).write(to: URL(fileURLWithPath: factsFile))
    let end = try await SystemFixture.run(
      "/usr/bin/python3",
      [
        "\(Places.programsFolder)/browser.py", "--client", s.lab.layout.clientConfiguration, "--facts", factsFile,
        "--results", resultsFile,
      ])
    guard end.status == 0, let data = FileManager.default.contents(atPath: resultsFile) else {
      throw SystemFailure("the browser did not come to the end (\(end.status)): \(end.output)")
    }
    return try JSONDecoder().decode(Results.self, from: data).checks
  }
}
