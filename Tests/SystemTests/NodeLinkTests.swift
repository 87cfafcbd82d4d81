import APIClient
import Domain
import Foundation
import Lab
import TestKit
import Testing
import Wire

/// Nodes on links that are slow, lose packets, and are cut: uploads and staging cross them as well as SSH.
@Suite(.enabled(if: Links.canBeMade, "nodes with links of their own need root and /dev/net/tun"))
struct NodeLinkTests {
  /// How a link is bad all the time.
  struct Impaired: Sendable, CustomTestStringConvertible {
    var name: String
    var lossPercent: Double
    var delay: Duration

    var testDescription: String { name }
  }

  static let impaired = [
    Impaired(name: "200 ms there and back", lossPercent: 0, delay: .milliseconds(100)),
    Impaired(name: "5 % of all packets lost", lossPercent: 5, delay: .zero),
  ]

  @Test(arguments: impaired) func carriesAGangOverTwoLeasesThrough(link: Impaired) async throws {
    // A handshake of some six answers takes more than a second where each takes 200 ms.
    try await Links.with(nodes: 4, times: ["node_answer_seconds": 4]) { s, _ in
      for node in try s.lab.nodes { try node.impairLink(lossPercent: link.lossPercent, delay: link.delay) }
      let (dataset, sum) = try await s.noise("noise", .mebibytes(3))
      // The agent's 36 MB have to come through such a link, too, and leave time to start.
      try await s.lease("first", nodes: ["n1", "n2"], seconds: 35)
      try await s.lease("second", nodes: ["n3", "n4"], seconds: 120, startIn: 35)
      let job = try await s.count(
        "--steps 800 --check noise:\(sum)", "data: [\(dataset.name)]", "checkpoint: {every: 3s}", nodes: 2
      ).id
      try await s.wait(job, until: "safe before anybody asked for the last save") { $0.checkpointStep != nil }
      #expect(try s.programs.all("stop").isEmpty)
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 800)
      let run = try await s.client.run("\(job)")
      #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed], "\(run.attempts)")
      #expect(run.stepsRedone == 0)
    }
  }

  @Test func goesOnStagingAfterItsLinkWasCutAndFetchesNothingTwice() async throws {
    try await Links.with(times: ["reach_patience_seconds": 60]) { s, proxy in
      let node = try s.lab.node("n1")
      let size = ByteCount.mebibytes(16)
      let (dataset, sum) = try await s.noise("noise", size)
      proxy.set(.hang(times: 1), on: ["GET"], naming: "/blobs/")
      try await s.lease()
      let job = try await s.count("--steps 3 --check noise:\(sum)", "data: [\(dataset.name)]").id
      try await s.partlyStaged(dataset, on: node)
      try await s.degrades("first") { try node.cutLink() }
      // Nobody hears that the store hangs up.
      proxy.letGo()
      try await s.becomesWhole("first") { try node.healLink() }
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 3)
      #expect(try await s.client.run("\(job)").attempts.map(\.outcome) == [.completed])
      #expect(proxy.served == Int(size.bytes))
    }
  }

  @Test func trainsOnWhileItsLinkIsCut() async throws {
    try await Links.with { s, _ in
      let node = try s.lab.node("n1")
      try await s.lease()
      let job = try await s.count("--steps 500 --save-at 10").id
      try await s.wait(job, until: "safe at step 10") { $0.checkpointStep == 10 }
      try await s.degrades("first") { try node.cutLink() }
      #expect(try await s.client.lease("first").degraded)
      #expect(try await s.client.job("\(job)").state == .running)
      try await s.becomesWhole("first") { try node.healLink() }
      #expect(try await s.client.lease("first").degraded == false)
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 500)
      #expect(try await s.client.run("\(job)").attempts.map(\.outcome) == [.completed])
      #expect(try s.programs.all("start").count == 1)
    }
  }

  @Test func hearsOfOneNodeWhileAnotherIsTold() async throws {
    // So long does nobody notice that a link is cut.
    try await Links.with(nodes: 2, times: ["node_answer_seconds": 20]) { s, _ in
      try await s.lease()
      let job = try await s.count("--steps 300", nodes: 2).id
      let view = try await s.wait(job, .running)
      let cut = try s.lab.node(try #require(view.attempt?.nodes.last?.name))
      try await s.reached(step: 1)
      try cut.cutLink()
      _ = try await s.client.checkpoint("\(job)")
      try await s.wait(job, until: "safe") { $0.checkpointStep != nil }
      // Both were asked to save; one of them was not told yet, and nobody gave that up.
      let log = try String(contentsOfFile: s.lab.layout.log(of: "batond"), encoding: .utf8)
      #expect(!log.contains("telling \(cut.name): "))
      try cut.healLink()
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 300)
      #expect(try await s.client.run("\(job)").attempts.map(\.outcome) == [.completed])
    }
  }

  @Test func losesAtMostOneIntervalWhenItsLinkIsCutThroughTheEndOfTheLease() async throws {
    try await Links.with(nodes: 2) { s, _ in
      let node = try s.lab.node("n1")
      let interval = 15
      try await s.lease("first", nodes: ["n1"], seconds: 31)
      try await s.lease("second", nodes: ["n2"], seconds: 90, startIn: 31)
      let job = try await s.count("--steps 600", "checkpoint: {every: \(interval)s}").id
      let safe = try #require(try await s.wait(job, until: "safe") { $0.checkpointStep != nil }.checkpointStep)
      try await s.degrades("first") { try node.cutLink() }
      try await s.event("its last save, which nobody hears of") {
        $0.event == "saved" && $0.attempt == 1 && $0.step > safe
      }
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.resumedFromStep == safe)
      try await s.expectOneCurve(job, steps: 600)
      let attempts = try await s.client.run("\(job)").attempts
      #expect(attempts.map(\.outcome) == [.leaseEnded, .completed])
      let detail = attempts.first?.detail ?? ""
      #expect(detail.contains("node n1 had not answered"), "\(detail)")
      let redone = try s.programs.all("step").count { $0.attempt == 1 && $0.step > safe }
      #expect((1...interval * 20).contains(redone), "\(redone) steps of 50 ms")
      try node.healLink()
    }
  }

  @Test func givesUpANodeWhoseLinkIsCutBeforeItsRanksStart() async throws {
    try await Links.with(nodes: 2) { s, _ in
      let (first, cut) = (try s.lab.node("n1"), try s.lab.node("n2"))
      let data = try await s.dataset("data", .mebibytes(1))
      try await s.lease()
      let block = try StagingBlock(data, on: first)
      let job = try await s.count("--steps 60", "data: [data]", nodes: 2).id
      try await s.heard(that: data, isOn: cut)
      try cut.cutLink()
      block.release()
      try await s.wait(job, until: "told why it waits") { $0.state == .pending && $0.reason == "NodesUnavailable" }
      let attempts = try await s.client.run("\(job)").attempts
      #expect(attempts.map(\.outcome) == [.lost], "\(attempts)")
      let detail = attempts.first?.detail ?? ""
      #expect(detail.contains("node n2 could not be reached"), "\(detail)")
      try cut.healLink()
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 60)
    }
  }
}

/// Labs whose nodes have links that can fail.
enum Links {
  /// Whether this machine can make them.
  static let canBeMade = getuid() == 0 && access("/dev/net/tun", F_OK) == 0

  /// Runs `body` with such a product, whose nodes reach its object store at the machine's end of their links.
  static func with(
    nodes: Int = 1, times: [String: Double] = [:],
    _ body: @escaping @Sendable (SystemFixture, FaultProxy) async throws -> Void
  ) async throws {
    let network = try LabNetwork.free()
    let proxy = try FaultProxy(
      to: try await OpenStack.shared.swift.url, mark: "/system-", listeningOn: network.machineAddress)
    defer { proxy.close() }
    try await ObjectStoreTests.with(.swift, through: proxy.address) { objects in
      try await SystemFixture.with(
        nodes: nodes, limit: .seconds(200), objects: objects, network: network, times: times
      ) { s in try await body(s, proxy) }
    }
  }
}

extension SystemFixture {
  /// Does what makes a lease degraded, and waits until it says so.
  func degrades(_ lease: String, _ fault: () async throws -> Void) async throws {
    try await told("lease.degraded", lease, after: fault)
  }

  /// Does what mends a lease, and waits until it says so.
  func becomesWhole(_ lease: String, _ mending: () async throws -> Void) async throws {
    try await told("lease.whole", lease, after: mending)
  }

  private func told(_ action: String, _ lease: String, after change: () async throws -> Void) async throws {
    let subject = "\(try await client.lease(lease).id)"
    let events = try await client.eventStream()
    try await change()
    try await waiting(for: "\(action) of \(lease)") {
      for try await event in events where event.action == action && event.subject == subject { return }
      throw CancellationError()
    }
  }

  /// Waits until a piece of a data set, and not all of it, is on a node's disk and noted there.
  func partlyStaged(_ dataset: DatasetView, on node: LabNode) async throws {
    let folder = try node.description.rootPath + "/datasets"
    let map = "\(folder)/.partial-\(dataset.contentID).map"
    try await waiting(for: "a piece of \(dataset.name) on \(node.name)") {
      try await FileChanges.until(in: [folder]) {
        // A line that tells the plan, and behind it a record of 16 bytes a piece.
        let bytes = FileManager.default.contents(atPath: map) ?? Data()
        return bytes.firstIndex(of: 10).map { bytes.count >= $0 + 1 + 16 } ?? false
      }
    }
  }

  /// Waits until the server knows that a data set is on a node, which it does not tell by itself.
  func heard(that dataset: DatasetView, isOn node: LabNode) async throws {
    try await waiting(for: "word of \(dataset.name) on \(node.name)") {
      while true {
        let replicas = try await client.dataset(dataset.name).items.first { $0.id == dataset.id }?.replicas
        if replicas?.contains(where: { $0.name == node.name }) == true { return }
        try await TestTime.beforeAskingAgain()
      }
    }
  }
}
