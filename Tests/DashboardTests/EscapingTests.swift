import Domain
import Foundation
import Testing
import Wire

@testable import Dashboard

struct EscapingTests {
  /// What a person could call a job, a node, a lease, a file.
  static let hostile = [
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "</pre></title><b>",
    // A quote and a mark on it are one `Character`, and still a quote for a browser.
    "\"\u{301} onload=alert(1) x=\"\u{301}", "<\u{338}script>", "{{title}}{{{content}}}",
    String(repeating: "long\"<i>", count: 50), "\u{5E9}\u{5DC}\u{5D5}\u{5DD} \u{202E}<b>cba",
  ]

  @Test(arguments: hostile)
  func letsNoNameOutOfItsPlace(_ name: String) throws {
    let renderer = try PageRenderer()
    for (page, html) in pages(renderer, calling: name) {
      #expect(
        !html.unicodeScalars.containsSequence(name.unicodeScalars) || !name.contains { "<>\"'".contains($0) }, "\(page)"
      )
      #expect(!html.contains("<script>alert"), "\(page)")
      #expect(!html.contains("<img"), "\(page)")
      #expect(html.unicodeScalars.containsSequence(escaped(name).unicodeScalars), "\(page) does not show it")
      #expect(tags(in: html) == tags(in: try plain(page, renderer)), "\(page) has other elements than it should")
    }
  }

  @Test func escapesByScalar() {
    #expect(escaped("\"\u{301}") == "&quot;\u{301}")
    #expect(escaped("<&>'") == "&lt;&amp;&gt;&#39;")
    #expect(escaped("a\0b") == "a\u{FFFD}b")
  }

  @Test func putsNamesIntoPathsAsOctets() {
    #expect(pathComponent("loss/train?x=1&y#é") == "loss%2Ftrain%3Fx%3D1%26y%23%C3%A9")
  }

  /// Writes pages with names that are long, hostile or written from right to left to `BATON_PAGES_OUT`.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["BATON_PAGES_OUT"] != nil))
  func writesPagesWithHardNamesToLookAt() throws {
    let folder = URL(fileURLWithPath: try #require(ProcessInfo.processInfo.environment["BATON_PAGES_OUT"]))
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let names = [
      "long": String(repeating: "x", count: 300), "words": String(repeating: "many words ", count: 27),
      "script": Self.hostile[0], "rtl": "\u{5E9}\u{5DC}\u{5D5}\u{5DD} 123 (\u{5E2}\u{5D5}\u{5DC}\u{5DD})",
      "turned": "before\u{202E}after",
    ]
    let renderer = try PageRenderer()
    for (kind, name) in names {
      for (page, html) in pages(renderer, calling: name) {
        try Data(html.replacing("/assets/", with: "assets/").utf8)
          .write(to: folder.appendingPathComponent("\(kind)-\(page).html"))
      }
    }
  }

  private func plain(_ page: String, _ renderer: PageRenderer) throws -> String {
    try #require(pages(renderer, calling: "plain").first { $0.name == page }).html
  }

  /// The names of all elements, in order.
  private func tags(in html: String) -> [String] {
    html.matches(of: #/<\/?([a-zA-Z]+)/#).map { String($0.output.1) }
  }

  /// A proof that failed.
  private func check(calling name: String) -> ResumeCheckView {
    let verdict = ResumeEvidence(
      original: [121: 1], replays: [[121: 2], [121: 2]], saved: IngredientReport(ranks: [0: [name: name]]),
      loaded: [IngredientReport(ranks: [0: [name: "other"]])]
    ).verdict()
    return ResumeCheckView(
      id: ResumeCheckID(3), run: RunID(17), checkpoint: CheckpointID(5), attemptNumber: 1, step: 120, steps: 50,
      metric: name, tolerance: 0, replays: [.init(job: JobID(18), state: .running, reason: name)], requestedBy: name,
      createdAt: Fixture.now, verdict: verdict, endedAt: nil)
  }

  /// A file that was left, one that was not, and a store that says so.
  private func artifacts(calling name: String) -> ArtifactContent {
    ArtifactContent(
      items: [ArtifactView(path: name, bytes: .zero, attempt: 1, nodeRank: 0)],
      missing: [MissingArtifacts(attempt: 1, node: name, reason: name)], problem: name)
  }

  private func pages(_ renderer: PageRenderer, calling name: String) -> [(name: String, html: String)] {
    let now = Fixture.now
    let frame = Frame(viewer: .init(user: name, project: name), controllerEpoch: 1, now: now)
    var job = Fixture.running
    (job.name, job.project, job.user, job.reason, job.reasonDetail) = (name, name, name, name, name)
    var attempt = Fixture.attempts[0]
    (attempt.leaseName, attempt.detail, attempt.nodes) = (name, name, [NodeRef(id: NodeID(1), name: name)])
    job.attempt = attempt
    var lease = Fixture.leases[2]
    (lease.name, lease.project, lease.nodes) = (name, name, [NodeRef(id: NodeID(1), name: name)])
    var node = Fixture.machine(
      1, .suspect, gpus: [.init(index: 0, model: name, memory: .zero, isStandIn: true)], drained: true)
    (node.name, node.nodeType, node.detail, node.address, node.user) = (name, name, name, name, name)
    let event = EventView(id: EventID(1), at: now, actor: name, action: name, subject: name, detail: name)
    var run = Fixture.run
    run.job = job
    run.attempts = [attempt]
    run.checkpoints = [Fixture.checkpoint(100, .durable, attempt: 1, latest: true)]
    run.checkpoints[0].prefix = name
    run.metrics = [MetricSummary(metric: name, count: 1, firstStep: 1, lastStep: 1, lastValue: 1)]
    run.provenance = RunProvenance(
      jobFile: name,
      source: SourceProvenance(
        directory: name, host: name, gitCommit: name, gitBranch: name, gitDiff: name, gitDirty: true),
      datasets: [DatasetRef(name: name, version: 1, contentID: name)], seed: 1,
      nodes: [
        RunProvenance.NodeFacts(
          attemptNumber: 1, node: NodeRef(id: NodeID(1), name: name), nodeType: name, gpus: [name], cores: 1,
          memory: .zero, software: [name: name])
      ])
    run.provenance.source.code = CodeCapture(
      sha256: name, bytes: .zero, files: 1, folder: name, leftOut: [.init(path: name, bytes: nil, reason: name)])
    run.provenance.resolved = name
    run.provenance.environments = [
      EnvironmentView(id: name, facts: [name: name], packages: [name: name], places: [.init(attempt: 1, node: name)])
    ]
    (run.tags, run.notes) = ([name], [RunNoteView(author: name, at: now, text: name)])
    var compared = Fixture.compareContent
    compared.comparison.metric = name
    compared.comparison.runs[0].name = name
    compared.comparison.differences = [.init(section: name, key: name, values: [name, nil])]
    compared.comparison.files = [.init(run: RunID(1), path: name, change: name, diff: name)]
    compared.comparison.results[0].metric = name
    var series = Fixture.series("loss")
    series.metric = name
    job.member = GroupMemberView(group: JobGroupID(3), index: 1, values: [name: name])
    run.job = job
    run.resumeChecks = [check(calling: name)]
    var group = GroupView(
      id: JobGroupID(3), name: name, size: 1, atMost: nil, submittedAt: now, states: ["RUNNING": 1], jobs: [job.id])
    (group.project, group.user) = (name, name)
    let reported = ReportContent(run: run, curves: [series])
    let bar = AttemptBar(job: JobID(17), jobName: name, attempt: attempt)
    return [
      (
        "overview",
        renderer.overview(
          OverviewContent(jobs: [job], nodes: [node], leases: [lease], events: [event]), at: now, in: frame)
      ),
      ("queue", renderer.queue([job], at: now, in: frame)),
      ("runs", renderer.runs(RunsContent(jobs: [job]), at: now, in: frame)),
      (
        "leases",
        renderer.leases(
          [lease], nodes: [node], attempts: [bar], window: PageRenderer.leaseWindow([lease], at: now), at: now,
          in: frame)
      ),
      ("nodes", renderer.nodes([node], at: now, in: frame)),
      ("data", renderer.data([Fixture.dataset(calling: name)], at: now, in: frame)),
      ("events", renderer.events([event], subject: name, older: nil, in: frame)),
      (
        "run",
        renderer.run(
          RunContent(run: run, series: series, accuracy: series, artifacts: artifacts(calling: name)), at: now,
          in: frame)
      ),
      ("compare", renderer.compare(compared, at: now, in: frame)),
      ("group", renderer.group(GroupContent(group: group, jobs: [job], mayCancel: true), at: now, in: frame)),
      ("groups", renderer.groups(GroupsContent(groups: [group], show: .all), at: now, in: frame)),
      ("report", renderer.report([reported, reported], title: name, at: now)),
      ("login", renderer.login(problem: name, next: name)),
      ("problem", renderer.problem(APIFailure(.notFound, name, details: [name]), in: frame)),
    ]
  }
}

extension String.UnicodeScalarView {
  /// Compared by scalar, since strings are equal by what they look like.
  func containsSequence(_ other: Self) -> Bool {
    let mine = Array(self)
    let theirs = Array(other)
    guard let first = theirs.first, mine.count >= theirs.count else { return theirs.isEmpty }
    return (0...(mine.count - theirs.count)).contains { start in
      mine[start] == first && mine[start..<(start + theirs.count)].elementsEqual(theirs)
    }
  }
}
