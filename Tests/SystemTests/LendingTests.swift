import APIClient
import Domain
import Foundation
import Lab
import Postgres
import TestKit
import Testing
import Wire

/// Each byte of a data set comes from the object store once for a lease: what a node of it holds others get from there.
@Suite struct LendingTests {
  /// A job that trains on with `dataset` on its node, and the node.
  private static func trains(
    _ s: SystemFixture, with dataset: DatasetView, _ sum: String
  ) async throws -> (job: JobID, node: LabNode) {
    let job = try await s.count("--check noise:\(sum)", "data: [\(dataset.name)]").id
    try await s.reached(step: 1, job: job)
    let name = try #require(try await s.client.job("\(job)").attempt?.nodes.first?.name)
    return (job, try s.lab.node(name))
  }

  @Test func readsADataSetFromTheStoreOnceForAllJobsOfALease() async throws {
    try await NodeStagingTests.with(nodes: 3) { s, proxy in
      let (dataset, sum) = try await s.noise("noise", .mebibytes(16))
      proxy.set(.none, on: ["GET"], naming: "/blobs/")
      try await s.lease()
      let holder = try await Self.trains(s, with: dataset, sum).node
      #expect(proxy.served == 16 << 20, "bytes that left the store for the first job")
      let job = try await s.count("--steps 3 --check noise:\(sum)", "data: [\(dataset.name)]").id
      let end = try await s.wait(job, .completed)
      #expect(end.attempt?.nodes.first?.name != holder.name)
      let report = try await s.client.stage(dataset.name, StageRequest(lease: "first"))
      #expect(report.isComplete && report.nodes.count == 3, "\(report)")
      #expect(proxy.served == 16 << 20, "bytes that left the store for all")
      for node in try s.lab.nodes {
        let copy = "\(try node.description.rootPath)/datasets/\(dataset.contentID)/noise"
        #expect(try await SystemFixture.run("/usr/bin/sha256sum", [copy]).output.hasPrefix(sum), "\(node.name)")
      }
      // What nodes give each other is no measure of the store.
      let measured = try await s.withDatabase { database in
        try await database.query("SELECT node_id FROM staging_measure").count
      }
      #expect(measured == 1)
    }
  }

  @Test func stagesAllTheSameWhenTheHolderIsKilledBeforeItIsAsked() async throws {
    try await NodeStagingTests.with(nodes: 2) { s, proxy in
      let (dataset, sum) = try await s.noise("noise", .mebibytes(16))
      try await s.lease()
      let holder = try await Self.trains(s, with: dataset, sum).node
      let other = try s.lab.node(holder.name == "n1" ? "n2" : "n1")
      let block = try StagingBlock(dataset, on: other)
      proxy.set(.none, on: ["GET"], naming: "/blobs/")
      let job = try await s.count("--steps 3 --check noise:\(sum)", "data: [\(dataset.name)]").id
      let server = try await s.server(on: holder)
      try await s.supervised(on: other)
      #expect(kill(server, SIGKILL) == 0)
      try await ProcessEnd.wait(server)
      block.release()
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 3)
      #expect(proxy.served == 16 << 20, "bytes that left the store")
    }
  }

  @Test func usesNothingOfAHolderWhoseDataRottedAndNamesIt() async throws {
    try await NodeStagingTests.with(nodes: 2) { s, proxy in
      let (dataset, sum) = try await s.noise("noise", .mebibytes(16))
      try await s.lease()
      let holder = try await Self.trains(s, with: dataset, sum).node
      let other = holder.name == "n1" ? "n2" : "n1"
      let replica = "\(try holder.description.rootPath)/datasets/\(dataset.contentID)/noise"
      for offset in [70_000, 9 << 20] { try NodeStagingTests.turnBit(of: replica, at: offset) }
      proxy.set(.none, on: ["GET"], naming: "/blobs/")
      let events = try await s.client.eventStream()
      let job = try await s.count("--steps 3 --check noise:\(sum)", "data: [\(dataset.name)]").id
      var trouble: EventView?
      try await s.waiting(for: "word of the liar") {
        for try await event in events where event.action == "job.trouble" {
          trouble = event
          break
        }
      }
      let words = try #require(trouble?.detail)
      #expect(words.contains("node \(other) takes no data from node \(holder.name) any more"), "\(words)")
      #expect(words.contains("other bytes"), "\(words)")
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 3)
      #expect(proxy.served == 16 << 20, "bytes that left the store")
    }
  }

  @Test(.enabled(if: Links.canBeMade, "nodes with links of their own need root and /dev/net/tun"))
  func bringsTheRestFromTheStoreWhenTheHolderIsCutOffInTheMiddle() async throws {
    try await Links.with(nodes: 2, times: ["reach_patience_seconds": 120]) { s, proxy in
      let size = ByteCount.mebibytes(64)
      let (dataset, sum) = try await s.noise("noise", size)
      try await s.lease()
      let holder = try await Self.trains(s, with: dataset, sum).node
      let other = try s.lab.node(holder.name == "n1" ? "n2" : "n1")
      // Slow enough that there is a middle.
      try holder.impairLink(delay: .milliseconds(50))
      proxy.set(.none, on: ["GET"], naming: "/blobs/")
      let job = try await s.count("--steps 3 --check noise:\(sum)", "data: [\(dataset.name)]").id
      try await s.partlyStaged(dataset, on: other)
      try await s.degrades("first") { try holder.cutLink() }
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 3)
      #expect((1..<Int(size.bytes)).contains(proxy.served), "\(proxy.served) bytes left the store")
      try await s.becomesWhole("first") { try holder.healLink() }
    }
  }
}

extension SystemFixture {
  /// The process that hands out what a node holds, once there is one.
  func server(on node: LabNode) async throws -> Int32 {
    var found: Int32?
    try await waiting(for: "\(node.name) to hand out what it holds") {
      while found == nil {
        found = try strangers(on: node).first { $0.contains("baton-agent serve") }.map(number)
        if found == nil { try await TestTime.beforeAskingAgain() }
      }
    }
    return try #require(found)
  }
}
