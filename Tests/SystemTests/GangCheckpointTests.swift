import APIClient
import Domain
import Foundation
import Lab
import TestKit
import Testing
import Wire

/// Checkpoints whose parts two nodes store, on the bad days of their object store: whole or not used, whichever of the
/// two meets the fault.
@Suite struct GangCheckpointTests {
  /// A request that one of the two makes, or both.
  struct Moment: Sendable {
    var name: String
    var methods: Set<String>

    static let writes = ["/chunks/", "/part-0.json", "/part-1.json", "/manifest.json"].map {
      Moment(name: $0, methods: ["PUT"])
    }
    static let reads = writes.map { Moment(name: $0.name, methods: ["GET"]) }
    /// Each looks whether the other's part is there.
    static let looks = ["/part-0.json", "/part-1.json"].map { Moment(name: $0, methods: ["HEAD"]) }
  }

  /// Faults that one attempt meets one after the other.
  struct Passing: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var moments: [Moment]
    var faults: [(String, FaultProxy.Fault)]
  }

  static let anywhere: [(String, FaultProxy.Fault)] = [
    ("connections are refused", .reset(times: 2)),
    ("500", StoreFaultTests.answer(500, times: 2)),
    ("an answer is lost", .lose(times: 1)),
    ("it is refused for a moment", StoreFaultTests.answer(401, times: 2)),
  ]

  static let passing: [Passing] = [
    Passing(testDescription: "writing", moments: Moment.writes, faults: anywhere),
    Passing(
      testDescription: "reading back", moments: Moment.reads,
      faults: anywhere + [
        ("cut in the middle of a body", .cut(after: 5, times: 2)),
        ("a byte turned over on its way", .flip(at: 3, times: 2)),
      ]),
    Passing(testDescription: "looking for the other's part", moments: Moment.looks, faults: anywhere),
  ]

  @Test(arguments: passing) func makesACheckpointOfTwoNodesDurableAllTheSameAfter(test: Passing) async throws {
    try await StoreFaultTests.with(.swift, nodes: 2) { s, proxy in
      let job = try await s.gang()
      var step = 0
      for moment in test.moments {
        for (name, fault) in test.faults {
          proxy.set(fault, on: moment.methods, naming: moment.name)
          step = try await s.save(job, after: step)
          #expect(proxy.seen >= 1, "\(name) at \(moment.methods) \(moment.name)")
          proxy.set(.none, on: [])
        }
      }
      #expect(try await s.client.run("\(job)").checkpoints.allSatisfy { $0.state == .durable })
      try await s.lab.node("n2").revoke()
      try await s.expectOneCurveToTheEnd(job, resumedFrom: step)
    }
  }

  /// A fault that stays, at an object of one checkpoint.
  struct Staying: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var fault: FaultProxy.Fault
    var method: String
    var object: String
    /// What is told of it.
    var words: String
  }

  static let staying: [Staying] = [
    Staying(
      testDescription: "a part is refused", fault: StoreFaultTests.answer(403, times: .max), method: "PUT",
      object: "part-1.json", words: "answered 403"),
    Staying(
      testDescription: "a part comes back wrong", fault: .flip(at: 3, times: .max), method: "GET",
      object: "part-1.json", words: "checksumMismatch"),
    Staying(
      testDescription: "neither may look for the other's part", fault: StoreFaultTests.answer(403, times: .max),
      method: "HEAD", object: "part-", words: "403"),
    Staying(
      testDescription: "the manifest is refused", fault: StoreFaultTests.answer(403, times: .max), method: "PUT",
      object: "manifest.json", words: "answered 403"),
    Staying(
      testDescription: "the manifest comes back wrong", fault: .flip(at: 3, times: .max), method: "GET",
      object: "manifest.json", words: "checksumMismatch"),
  ]

  @Test(arguments: staying) func neverUsesACheckpointOfTwoNodesWhere(test: Staying) async throws {
    try await StoreFaultTests.with(.swift, nodes: 2) { s, proxy in
      let job = try await s.gang()
      let good = try await s.save(job, after: 0)
      let step = try await s.holdBoth("/chunks/", by: "PUT", of: job, after: good, proxy)
      proxy.set(test.fault, on: [test.method], naming: s.place(of: test.object, step: step))
      proxy.letGo()
      let view = try await s.wait(job, until: "told why") { $0.attempt?.checkpointTrouble?.isRejected == true }
      let trouble = try #require(view.attempt?.checkpointTrouble)
      #expect(trouble.step == step && trouble.reason.contains(test.words), "\(trouble)")
      #expect(view.checkpointStep == good)
      #expect(try await s.baton("run", "show", "\(job)").output.contains("rejected: "))
      try await s.lab.node("n2").revoke()
      try await s.expectOneCurveToTheEnd(job, resumedFrom: good)
      let checkpoints = try await s.client.run("\(job)").checkpoints.filter { $0.attemptNumber == 1 }
      #expect(checkpoints.filter { $0.state == .durable }.map(\.step) == [good])
    }
  }

  @Test func makesOneCheckpointOfTwoNodesThatFinishAtTheSameTime() async throws {
    try await StoreFaultTests.with(.swift, nodes: 2) { s, proxy in
      let job = try await s.gang()
      // Each has stored its part, and asks for the other's.
      let step = try await s.holdBoth("/part-", by: "HEAD", of: job, after: 0, proxy)
      proxy.set(.none, on: ["PUT"], naming: "/manifest.json")
      proxy.letGo()
      #expect(try await s.safe(job, after: 0) == step)
      try await s.waiting(for: "the manifest of both nodes") { try await proxy.met(2) }
      try await s.lab.node("n2").revoke()
      try await s.expectOneCurveToTheEnd(job, resumedFrom: step)
      let run = try await s.client.run("\(job)")
      #expect(run.checkpoints.filter { $0.step == step }.map(\.state) == [.durable])
    }
  }
}

extension SystemFixture {
  /// A lease of all nodes, and a job on two of them that counts in step and saves in parts; returns once it has done one.
  fileprivate func gang() async throws -> JobID {
    try await lease()
    let job = try await count("--until-told --sharded", nodes: 2).id
    try await wait(job, .running)
    try await reached(step: 1)
    return job
  }

  /// Has a gang save; returns the step, past `before`, once each of two nodes has made such a request, which nobody answers.
  fileprivate func holdBoth(
    _ name: String, by method: String, of job: JobID, after before: Int, _ proxy: FaultProxy
  ) async throws -> Int {
    proxy.set(.hang(times: 2), on: [method], naming: name)
    _ = try await client.checkpoint("\(job)")
    try await waiting(for: "\(method) \(name) of both nodes") { try await proxy.met(2) }
    return try await savedStep(after: before)
  }
}
