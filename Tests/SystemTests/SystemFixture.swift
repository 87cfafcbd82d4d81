import APIClient
import Domain
import Foundation
import Lab
import TestKit
import Testing
import Wire

/// A whole product for one test: PostgreSQL, `batond`, the warden, and nodes with sshd that it knows.
struct SystemFixture: Sendable {
  /// Shorter than what a site would choose, so that leases of a few seconds hold an attempt.
  static let shortTimes: [String: Double] = [
    "ending_lead_seconds": 1, "probe_interval_seconds": 1, "reach_patience_seconds": 2, "node_answer_seconds": 2,
    "launch_seconds": 1, "last_save_seconds": 3,
  ]

  let lab: Lab
  let client: BatonClient
  /// What programs tell, outside of all nodes.
  let programs: ProgramEvents
  /// A folder for the test's own files.
  let folder: String

  /// Runs `body` with a product of `nodes` nodes, `n1` first, and then sees that nothing is left of it.
  ///
  /// Two labs run at a time at most on a machine. What takes longer than `limit` has hung, and fails. With a `network`
  /// each node has a link that can fail; `times` are other settings than the short ones.
  static func with(
    nodes: Int = 1, diskSize: ByteCount = .mebibytes(256), limit: Duration = .seconds(150),
    objects: LabSettings.ObjectStoreChoice? = nil, network: LabNetwork? = nil, disk: LabSettings.DiskKind? = nil,
    times: [String: Double] = [:],
    _ body: @escaping @Sendable (SystemFixture) async throws -> Void
  ) async throws {
    try await Turns.shared.hold {
      let places = try Places.find()
      let root = "/tmp/baton-system-\(String(UInt64.random(in: 0...UInt64.max), radix: 36))"
      // Within the lab, so that it goes with it however this process ends.
      let folder = root + "/files"
      let settings = LabSettings(
        root: root, programs: places.programs(root: root), nodeCount: nodes, diskSize: diskSize, disk: disk,
        dieWithParent: true,
        controllerSettings: shortTimes.merging(times) { $1 }, objectStore: objects, network: network)
      let lab = Lab(root: root)
      do {
        let description = try await Lab.up(settings)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let access = try ClientConfiguration.load(file: description.clientConfiguration, environment: [:])
        try await BatonClient.with(access) { client in
          let fixture = SystemFixture(
            lab: lab, client: client, programs: ProgramEvents(folder: folder), folder: folder)
          try await TestTime.limit(limit) {
            try await fixture.register(description.nodes)
            try await body(fixture)
            try await fixture.endAll()
            try await fixture.expectNothingWrong()
          }
        }
      } catch {
        Issue.record("\(error)\n\(lastWords(of: lab, folder))")
      }
      try await lab.down()
      #expect(!FileManager.default.fileExists(atPath: root), "the lab is gone")
    }
  }

  private static func lastWords(of lab: Lab, _ folder: String) -> String {
    ["batond", "warden"].map { part in
      let text = (try? String(contentsOfFile: lab.layout.log(of: part), encoding: .utf8)) ?? ""
      return "--- \(part)\n" + text.suffix(6000)
    }.joined(separator: "\n")
  }

  private func register(_ nodes: [LabNode.Description]) async throws {
    for node in nodes {
      let check = try await client.addNode(
        NodeRequest(
          name: node.name, address: node.address, port: node.port, user: node.user, hostKey: node.hostPublicKey,
          nodeType: "lab", rootPath: node.rootPath))
      let failed = check.steps.first { !$0.passed }
      #expect(failed == nil, "\(node.name): \(failed.map { "\($0.name): \($0.detail)" } ?? "")")
    }
  }
}

// MARK: - What a person does

extension SystemFixture {
  /// Makes a lease of `nodes`, or of all.
  @discardableResult
  func lease(
    _ name: String = "first", nodes: [String]? = nil, seconds: Int = 3600, startIn: Int? = nil
  ) async throws -> LeaseView {
    let names = try nodes ?? lab.nodes.map(\.name)
    return try await client.createLease(
      LeaseRequest(name: name, nodeNames: names, start: startIn.map { "now+\($0)s" }, duration: "\(seconds)s"))
  }

  /// Submits the text of a job file.
  func submit(_ file: String, key: String = UUID().uuidString) async throws -> JobView {
    let answer = try await client.submit(
      SubmitRequest(file: file, fileName: "test.yaml", submissionKey: key, provenance: SourceProvenance()))
    return try #require(answer.job)
  }

  /// Submits a job that counts, with flags of `counter.py`, and with lines of its job file.
  func count(_ flags: String = "", _ lines: String..., nodes: Int = 1) async throws -> JobView {
    try await submit(countingJob(flags, lines, nodes: nodes))
  }

  /// The text of such a job file.
  func countingJob(_ flags: String = "", _ lines: [String] = [], nodes: Int = 1) -> String {
    """
    name: counting
    run: \(Places.programsFolder)/counter.py --events \(programs.folder) \(flags)
    resources: {nodes: \(nodes)}
    \(lines.joined(separator: "\n"))

    """
  }
}

// MARK: - What must be so at the end of every test

extension SystemFixture {
  /// Cancels what is not over, and waits for it.
  private func endAll() async throws {
    for job in try await client.jobs().items {
      do {
        _ = try await client.cancel("\(job.id)", now: true)
      } catch let failure as ClientFailure where failure.refusal?.code == .wrongState {
        continue
      }
      try await wait(job.id, .cancelled, .completed, .failed, .timeout)
    }
  }

  /// The invariants hold, no two of a rank ever ran at one time, and no process of any attempt is left.
  private func expectNothingWrong() async throws {
    let report = try await client.doctor()
    let invariants = report.checks.first { $0.name == "invariants" }
    #expect(invariants?.passed == true, "\(invariants?.detail ?? "not looked at")")
    let overlaps = try programs.all().filter { $0.event == "overlap" }
    #expect(overlaps.isEmpty, "two of the same rank ran at one time: \(overlaps)")
    for node in try lab.nodes { try await expectNoStrangers(on: node) }
  }

  /// Waits until no process of an attempt is left.
  private func expectNoStrangers(on node: LabNode) async throws {
    while let stranger = strangers(on: node).first {
      try await waiting(for: "the end of a process of an attempt on \(node.name): \(stranger)") {
        try await ProcessEnd.wait(try number(of: stranger))
      }
    }
  }

  /// Processes of a node that are neither its system nor an agent that answers a question.
  func strangers(on node: LabNode) -> [String] {
    let pids = (try? node.processes()) ?? []
    return pids.compactMap { pid in
      guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline"), !bytes.isEmpty else { return nil }
      let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      let line = words.joined(separator: " ")
      let isSystem = ["sshd:", "boot.sh", "sleep infinity", "nvidia-smi", "unshare", "/sshd -f"].contains(
        where: line.contains)
      let isQuestion = ["probe", "follow", "list", "logs", "purge"].contains { words.dropFirst().first == $0 }
      return isSystem || isQuestion ? nil : "\(pid) \(line)"
    }
  }

  /// What has to be so of a run, however often it was interrupted: one value per step, none missing, each right.
  func expectOneCurve(_ job: JobID, steps: Int) async throws {
    let series = try await client.metrics("\(job)", "sum")
    let expected: [Double] = (1...steps).map { step in Double(step * (step + 1) / 2) }
    #expect(series.steps == Array(1...steps))
    #expect(series.values == expected)
  }
}

/// What a test of the whole product waits for in vain.
struct SystemFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
