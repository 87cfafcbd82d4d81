import APIClient
import Domain
import Foundation
import Lab
import TestKit
import Testing
import Wire

/// Data that is on the next lease's nodes before the run is.
@Suite struct StagingAheadTests {
  @Test func bringsDataToTheNextLeaseWhileTheRunStillTrains() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      let data = try await s.dataset("digits", .mebibytes(9))
      let first = try await s.lease("first", nodes: ["n1"], seconds: 30)
      let job = try await s.count("--steps 2000", "data: [digits]").id
      try await s.reached(step: 5)
      let events = try await s.client.eventStream()
      try await s.lease("second", nodes: ["n2"])
      var staged: EventView?
      for try await event in events where event.action == "node.staged" {
        staged = event
        break
      }
      let view = try await s.client.job("\(job)")
      #expect(view.state == .running && view.attempt?.lease == first.id)
      #expect(staged?.detail.contains("job \(job)") == true && staged?.detail.contains("bytes 9437184") == true)
      let replicas = try await s.client.dataset("digits").items.first { $0.id == data.id }?.replicas.map(\.name)
      #expect(replicas == ["n1", "n2"])
      #expect(try await s.client.lease("second").stagingAhead == nil)
      // The next attempt finds all of it there.
      try await s.reached(step: 5, attempt: 2)
      let run = try await s.client.run("\(job)")
      #expect(run.attempts.last?.nodes.map(\.name) == ["n2"])
      #expect(run.handoffs?.last?.length(of: .gap) == .zero)
    }
  }

  @Test func stopsWhenTheNodeIsNotToBeUsedAnyMore() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      let data = try await s.dataset("digits", .mebibytes(1))
      try await s.lease("first", nodes: ["n1"])
      let job = try await s.count("--steps 2000", "data: [digits]").id
      try await s.reached(step: 5)
      let block = try StagingBlock(data, on: s.lab.node("n2"))
      defer { block.release() }
      try await s.lease("second", nodes: ["n2"], seconds: 7200)
      let stager = try await s.stager(on: s.lab.node("n2"))
      _ = try await s.client.drainNode("n2", reason: "a test")
      try await s.waiting(for: "the end of staging") { try await ProcessEnd.wait(stager) }
      #expect(try await s.client.job("\(job)").state == .running)
      #expect(try await s.client.dataset("digits").items.first?.replicas.map(\.name) == ["n1"])
      #expect(try await s.client.node("n2").stagingAhead == nil)
    }
  }
}

extension SystemFixture {
  /// The process that brings data to a node ahead of any attempt, once there is one.
  func stager(on node: LabNode) async throws -> Int32 {
    var found: Int32?
    try await waiting(for: "staging on \(node.name)") {
      while found == nil {
        found = try strangers(on: node).first { $0.contains("baton-agent stage") }.map(number)
        if found == nil { try await TestTime.beforeAskingAgain() }
      }
    }
    return try #require(found)
  }
}
