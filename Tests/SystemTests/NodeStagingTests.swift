import APIClient
import Domain
import Foundation
import Lab
import TestKit
import Testing
import Wire

/// Nodes that die and lie while data comes to them: what was finished is kept, and nothing wrong is used.
@Suite struct NodeStagingTests {
  /// How a node dies when half of its data is there.
  struct Death: Sendable, CustomTestStringConvertible {
    var name: String
    var die: @Sendable (LabNode) async throws -> Void
    /// How often a half of the data leaves the store until all of it is on the node.
    var halves: Int

    var testDescription: String { name }
  }

  static let deaths = [
    Death(
      name: "boots again with its disk",
      die: {
        try await $0.crash()
        try await $0.boot()
      }, halves: 2),
    Death(name: "is installed anew", die: { try await $0.revoke() }, halves: 3),
  ]

  @Test(arguments: deaths) func goesOnFromWhatIsLeftOfHalfADataSetWhenItsNode(death: Death) async throws {
    try await Self.with { s, proxy in
      let node = try s.lab.node("n1")
      // Two pieces: the store keeps one of them waiting.
      let (dataset, sum) = try await s.noise("noise", .mebibytes(16))
      proxy.set(.hang(times: 1), on: ["GET"], naming: "/blobs/")
      try await s.lease()
      let job = try await s.count("--steps 3 --check noise:\(sum)", "data: [\(dataset.name)]").id
      try await s.partlyStaged(dataset, on: node)
      try await death.die(node)
      proxy.letGo()
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 3)
      #expect(proxy.served == death.halves * 8 << 20, "bytes that left the store")
      let attempts = try await s.client.run("\(job)").attempts
      #expect(attempts.count == 2 && attempts.last?.outcome == .completed, "\(attempts)")
      #expect(attempts.first?.detail?.isEmpty == false, "\(attempts)")
    }
  }

  @Test func usesNothingThatANodeWithRottenDataSendsAndNamesIt() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      let (dataset, sum) = try await s.noise("noise", .mebibytes(16))
      try await s.lease()
      let first = try await s.wait(
        try await s.count("--steps 1 --check noise:\(sum)", "data: [\(dataset.name)]").id, .completed)
      let liar = try #require(first.attempt?.nodes.first?.name)
      let other = liar == "n1" ? "n2" : "n1"
      // A bit of each of its two pieces turns over, and the disk says nothing of it.
      let replica = try s.lab.node(liar).description.rootPath + "/datasets/\(dataset.contentID)/noise"
      for offset in [70_000, 9 << 20] { try Self.turnBit(of: replica, at: offset) }
      let events = try await s.client.eventStream()
      let job = try await s.count("", "data: [\(dataset.name)]", nodes: 2).id
      var trouble: EventView?
      try await s.waiting(for: "word of the liar") {
        for try await event in events where event.action == "job.trouble" {
          trouble = event
          break
        }
      }
      let words = try #require(trouble?.detail)
      #expect(words.contains("node \(other) takes no data from node \(liar) any more"), "\(words)")
      #expect(words.contains("other bytes"), "\(words)")
      try await s.reached(step: 1, job: job)
      let found = try await s.client.verify("noise", .init(nodes: true, store: false))
      #expect(found.places.count == 2 && found.places.count { $0.damagedCount == 0 } == 1, "\(found)")
      let copy = try s.lab.node(other).description.rootPath + "/datasets/\(dataset.contentID)/noise"
      #expect(try await SystemFixture.run("/usr/bin/sha256sum", [copy]).output.hasPrefix(sum))
    }
  }

  /// A product whose store is reached through a proxy.
  static func with(
    nodes: Int = 1, disk: LabSettings.DiskKind? = nil, times: [String: Double] = [:],
    _ body: @escaping @Sendable (SystemFixture, FaultProxy) async throws -> Void
  ) async throws {
    let proxy = try FaultProxy(to: try await OpenStack.shared.swift.url, mark: "/system-")
    defer { proxy.close() }
    try await ObjectStoreTests.with(.swift, through: proxy.address) { objects in
      try await SystemFixture.with(
        nodes: nodes, limit: .seconds(200), objects: objects, disk: disk, times: times
      ) { s in try await body(s, proxy) }
    }
  }

  static func turnBit(of path: String, at offset: Int) throws {
    chmod(path, 0o644)
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    try file.seek(toOffset: UInt64(offset))
    let byte = try #require(try file.read(upToCount: 1)?.first)
    try file.seek(toOffset: UInt64(offset))
    try file.write(contentsOf: Data([byte ^ 1]))
    try file.close()
  }
}
