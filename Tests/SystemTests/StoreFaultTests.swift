import APIClient
import Domain
import Foundation
import Lab
import TestKit
import Testing
import Wire

/// The whole product on the bad days of a real object store: no wrong byte is ever used, and the cause is named.
@Suite struct StoreFaultTests {
  /// What goes wrong for a while, and then not any more.
  struct Passing: Sendable, CustomTestStringConvertible {
    var name: String
    var fault: FaultProxy.Fault
    var door = ObjectStoreTests.Door.swift
    /// How often the job has to begin.
    var attempts = 1

    var testDescription: String { "\(name) (\(door))" }
  }

  static func answer(_ status: Int, _ headers: [String] = [], times: Int) -> FaultProxy.Fault {
    .answer(status: status, headers: headers, body: "fault", times: times)
  }

  static let passing: [Passing] = [
    Passing(name: "connections are refused", fault: .reset(times: 4)),
    Passing(name: "500", fault: answer(500, times: 4)),
    Passing(name: "429 with Retry-After", fault: answer(429, ["Retry-After: 1"], times: 2)),
    Passing(name: "answers are lost", fault: .lose(times: 3)),
    Passing(name: "cut in the middle of a body", fault: .cut(after: 100_000, times: 4)),
    Passing(name: "a body that ends early and says so", fault: .shorten(to: 100_000, times: 2)),
    Passing(name: "wrong bytes", fault: .flip(at: 70_000, times: 1)),
    Passing(name: "another ETag", fault: .otherTag),
    Passing(name: "a clock that is wrong", fault: .otherDate, door: .s3),
    // A node signs by keys of the day and its own clock: it gives up, and the job begins again.
    Passing(name: "a clock that the store refuses", fault: .skewed(times: 1), door: .s3, attempts: 2),
  ]

  @Test(arguments: passing) func stagesWhatIsRightAfter(test: Passing) async throws {
    try await Self.with(test.door) { s, proxy in
      let (dataset, sum) = try await s.noise("noise", .mebibytes(3))
      proxy.set(test.fault, on: ["GET"], naming: "/blobs/")
      try await s.lease()
      let job = try await s.count("--steps 3 --check noise:\(sum)", "data: [\(dataset.name)]").id
      try await s.wait(job, .completed)
      #expect(proxy.seen >= 1, "the fault was met")
      try await s.expectOneCurve(job, steps: 3)
      let run = try await s.client.run("\(job)")
      #expect(run.attempts.count == test.attempts)
    }
  }

  @Test func holdsAJobWhoseCredentialsWereRevokedAndSaysSo() async throws {
    try await Self.with(.swift) { s, proxy in
      let (dataset, sum) = try await s.noise("noise", .mebibytes(1))
      proxy.set(Self.answer(403, times: .max), on: ["GET"], naming: "/blobs/")
      try await s.lease()
      let job = try await s.count("--steps 3 --check noise:\(sum)", "data: [\(dataset.name)]").id
      let held = try await s.wait(job, .held)
      #expect(held.reason == "StoreUnavailable")
      let detail = try #require(held.reasonDetail)
      #expect(detail.contains("403") && detail.contains("release"), "\(detail)")
      proxy.set(.none, on: [])
      _ = try await s.client.release("\(job)")
      try await s.wait(job, .completed)
      try await s.expectOneCurve(job, steps: 3)
    }
  }

  @Test func failsAJobWhoseDataRottedInTheStoreAndNamesTheObject() async throws {
    try await Self.with(.swift) { s, proxy in
      let (dataset, sum) = try await s.noise("noise", .mebibytes(1))
      proxy.set(.flip(at: 70_000, times: .max), on: ["GET"], naming: "/blobs/")
      try await s.lease()
      let job = try await s.count("--steps 3", "data: [\(dataset.name)]").id
      let end = try await s.wait(job, .failed)
      #expect(end.reason == "StagingFailed")
      #expect(end.reasonDetail?.contains(sum) == true, "\(end.reasonDetail ?? "")")
      #expect(try s.programs.all("start").isEmpty)
    }
  }

  /// A product whose store is reached through a proxy.
  static func with(
    _ door: ObjectStoreTests.Door, nodes: Int = 1,
    _ body: @escaping @Sendable (SystemFixture, FaultProxy) async throws -> Void
  ) async throws {
    let proxy = try FaultProxy(to: try await OpenStack.shared.swift.url, mark: "/system-")
    defer { proxy.close() }
    try await ObjectStoreTests.with(door, through: proxy.address) { objects in
      try await SystemFixture.with(nodes: nodes, limit: .seconds(300), objects: objects) { s in
        try await body(s, proxy)
      }
    }
  }
}
