import APIClient
import Domain
import Foundation
import Lab
import ObjectStorage
import TestKit
import Testing
import Wire

/// Checkpoints on the bad days of a real object store: one that cannot be trusted is never resumed from, and what is
/// lost is no more than the time between two.
@Suite struct CheckpointFaultTests {
  /// A request that a commit makes, in this order.
  enum Moment: String, Sendable, CaseIterable {
    case chunk, chunkBack, part, partBack, manifest, manifestBack

    /// By which the proxy knows it.
    var methods: Set<String> {
      switch self {
      case .chunk, .part, .manifest: ["PUT"]
      case .chunkBack, .partBack, .manifestBack: ["GET"]
      }
    }

    /// What is in its path.
    var name: String {
      switch self {
      case .chunk, .chunkBack: "/chunks/"
      case .part, .partBack: "/part-0.json"
      case .manifest, .manifestBack: "/manifest.json"
      }
    }
  }

  /// What goes wrong for a while, at one request.
  struct Cell: Sendable {
    var name: String
    var fault: FaultProxy.Fault
    var moment: Moment
  }

  /// Faults that one attempt meets one after the other.
  struct Passing: Sendable, CustomTestStringConvertible {
    var door: ObjectStoreTests.Door
    var isRead: Bool

    var testDescription: String { "\(isRead ? "reading back" : "writing") (\(door))" }

    var cells: [Cell] {
      let moments = Moment.allCases.filter { ($0.methods == ["GET"]) == isRead }
      return moments.flatMap { moment in faults.map { Cell(name: $0.0, fault: $0.1, moment: moment) } }
    }

    private var faults: [(String, FaultProxy.Fault)] {
      let always: [(String, FaultProxy.Fault)] = [
        ("connections are refused", .reset(times: 2)),
        ("500", StoreFaultTests.answer(500, times: 2)),
        ("429 with Retry-After", StoreFaultTests.answer(429, ["Retry-After: 1"], times: 1)),
        ("an answer is lost", .lose(times: 1)),
        ("it is refused for a moment", StoreFaultTests.answer(door == .s3 ? 403 : 401, times: 2)),
        ("another ETag", .otherTag),
      ]
      let read: [(String, FaultProxy.Fault)] = [
        ("cut in the middle of a body", .cut(after: 5, times: 2)),
        ("a body that ends early and says so", .shorten(to: 5, times: 2)),
        ("a byte turned over on its way", .flip(at: 3, times: 2)),
      ]
      let clocks: [(String, FaultProxy.Fault)] = [
        ("a clock that is wrong", .otherDate), ("a clock that the store refuses once", .skewed(times: 1)),
      ]
      return always + (isRead ? read : []) + (door == .s3 ? clocks : [])
    }
  }

  static let passing: [Passing] = [
    Passing(door: .swift, isRead: false), Passing(door: .swift, isRead: true), Passing(door: .s3, isRead: false),
    Passing(door: .s3, isRead: true),
  ]

  @Test(arguments: passing) func makesACheckpointDurableAllTheSameAfter(test: Passing) async throws {
    try await StoreFaultTests.with(test.door) { s, proxy in
      try await s.lease()
      let job = try await s.counting("--until-told")
      var step = 0
      for cell in test.cells {
        proxy.set(cell.fault, on: cell.moment.methods, naming: cell.moment.name)
        step = try await s.save(job, after: step)
        #expect(proxy.seen >= 1, "\(cell.name) at \(cell.moment)")
        proxy.set(.none, on: [])
      }
      #expect(try await s.client.run("\(job)").checkpoints.allSatisfy { $0.state == .durable })
      try await s.lab.node("n1").revoke()
      try await s.expectOneCurveToTheEnd(job, resumedFrom: step)
    }
  }

  /// A store that hangs while a checkpoint is committed, and then is started again.
  @Test func waitsForAStoreThatHangs() async throws {
    try await StoreFaultTests.with(.swift) { s, proxy in
      try await s.lease()
      let job = try await s.counting("--until-told")
      var step = 0
      for moment in Moment.allCases {
        try await s.hold(moment, of: job, proxy)
        proxy.letGo()
        step = try await s.safe(job, after: step)
      }
      try await s.lab.node("n1").revoke()
      try await s.expectOneCurveToTheEnd(job, resumedFrom: step)
    }
  }

  /// A fault that stays, and words that name it.
  static let staying: [(fault: FaultProxy.Fault, moment: Moment, words: String)] = [
    (.flip(at: 3, times: .max), .chunkBack, "the store holds other bytes"),
    (StoreFaultTests.answer(403, times: .max), .chunk, "answered 403"),
    (StoreFaultTests.answer(401, times: .max), .chunkBack, "answered 401"),
    (StoreFaultTests.answer(403, times: .max), .part, "answered 403"),
    (.flip(at: 3, times: .max), .partBack, "checksumMismatch"),
    (StoreFaultTests.answer(403, times: .max), .manifest, "answered 403"),
  ]

  @Test func neverUsesACheckpointThatCannotBeTrustedAndSaysWhy() async throws {
    try await StoreFaultTests.with(.swift) { s, proxy in
      try await s.lease()
      let job = try await s.counting("--until-told")
      let good = try await s.save(job, after: 0)
      var rejected: [Int] = []
      for (fault, moment, words) in Self.staying {
        proxy.set(fault, on: moment.methods, naming: moment.name)
        let trouble = try await s.rejection(of: job, after: rejected.last ?? good)
        #expect(trouble.reason.contains(words), "\(moment): \(trouble.reason)")
        rejected.append(trouble.step)
        proxy.set(.none, on: [])
      }
      let run = try await s.client.run("\(job)")
      #expect(run.job.checkpointStep == good)
      #expect(run.checkpoints.filter { $0.rejection != nil }.map(\.step) == rejected)
      #expect(run.checkpoints.filter { $0.state == .durable }.map(\.step) == [good])
      #expect(try await s.baton("run", "show", "\(job)").output.contains("rejected: the store holds other bytes"))
      let events = try await s.client.events(limit: 100).items.filter { $0.action == "checkpoint.reject" }
      #expect(events.count == rejected.count)
      try await s.lab.node("n1").revoke()
      try await s.expectOneCurveToTheEnd(job, resumedFrom: good)
    }
  }

  /// The manifest is right, and whoever reads it gets another one: the node, and later who looks for what it left.
  @Test func doesWithoutACheckpointWhoseManifestComesBackWrongForEver() async throws {
    try await StoreFaultTests.with(.swift) { s, proxy in
      try await s.lease()
      let job = try await s.counting("--until-told")
      let good = try await s.save(job, after: 0)
      try await s.hold(.chunk, of: job, proxy)
      let step = try await s.savedStep(after: good)
      proxy.set(.flip(at: 3, times: .max), on: ["GET"], naming: s.place(of: "manifest.json", step: step))
      proxy.letGo()
      let view = try await s.wait(job, until: "told why") { $0.attempt?.checkpointTrouble?.isRejected == true }
      let trouble = try #require(view.attempt?.checkpointTrouble)
      #expect(trouble.step == step && trouble.reason.contains("checksumMismatch"), "\(trouble)")
      #expect(view.checkpointStep == good)
      try await s.lab.node("n1").revoke()
      try await s.expectOneCurveToTheEnd(job, resumedFrom: good)
      #expect(try await s.client.run("\(job)").attempts.first?.outcome == .lost)
    }
  }

  @Test func saysWhatACheckpointWaitsForUntilItIsStored() async throws {
    try await StoreFaultTests.with(.swift) { s, proxy in
      try await s.lease()
      let job = try await s.counting("--until-told")
      proxy.set(StoreFaultTests.answer(503, times: .max), on: ["PUT"], naming: Moment.part.name)
      _ = try await s.client.checkpoint("\(job)")
      let view = try await s.wait(job, until: "told why its checkpoint waits") { $0.attempt?.checkpointTrouble != nil }
      let trouble = try #require(view.attempt?.checkpointTrouble)
      #expect(!trouble.isRejected && trouble.reason.contains("503"), "\(trouble)")
      #expect(try await s.baton("queue").output.contains("\(trouble.step) waits"))
      #expect(try await s.baton("job", "show", "\(job)").output.contains("waits for the object store"))
      // Whoever takes over reads it in the journal.
      try await s.restartController()
      try await s.wait(job, until: "told so again") { $0.attempt?.checkpointTrouble?.step == trouble.step }
      proxy.set(.none, on: [])
      let step = try await s.safe(job, after: 0)
      #expect(step == trouble.step)
      #expect(try await s.client.job("\(job)").attempt?.checkpointTrouble == nil)
    }
  }

  @Test func usesTheOneBeforeWhereTheStoreIsAwayThroughTheEndOfTheLease() async throws {
    try await StoreFaultTests.with(.swift, nodes: 2) { s, proxy in
      try await s.lease("first", nodes: ["n1"], seconds: 14)
      try await s.lease("second", nodes: ["n2"], seconds: 3600, startIn: 14)
      let job = try await s.counting("--until-told")
      let good = try await s.save(job, after: 0)
      proxy.set(StoreFaultTests.answer(500, times: .max), on: ["PUT"], naming: Moment.chunk.name)
      _ = try await s.client.checkpoint("\(job)")
      try await s.wait(job, .leaseWait)
      proxy.set(.none, on: [])
      try await s.expectOneCurveToTheEnd(job, resumedFrom: good)
      let first = try #require(try await s.client.run("\(job)").attempts.first)
      let last = try #require(try s.programs.all("saved").last { $0.attempt == 1 })
      #expect(first.outcome == .leaseEnded)
      let words = "its checkpoint of step \(last.step) may not have reached the store: "
      #expect(first.detail?.contains(words) == true && first.detail?.contains("500") == true, "\(first)")
    }
  }

  @Test func rejectsACheckpointThatTheProgramWritesIntoWhileItIsStored() async throws {
    try await StoreFaultTests.with(.swift) { s, proxy in
      try await s.lease()
      let job = try await s.counting("--until-told --scribble")
      let good = try await s.save(job, after: 0)
      try await s.hold(.chunk, of: job, proxy)
      try s.tell("scribble")
      let scribbled = try await s.event("that it wrote into its checkpoint") { $0.event == "scribbled" }
      proxy.letGo()
      let view = try await s.wait(job, until: "told why") { $0.attempt?.checkpointTrouble?.isRejected == true }
      let trouble = try #require(view.attempt?.checkpointTrouble)
      #expect(trouble.step <= scribbled.step && trouble.step > good)
      #expect(trouble.reason.contains("state.json changed"), "\(trouble)")
      #expect(view.checkpointStep == good)
      try FileManager.default.removeItem(atPath: "\(s.programs.folder)/scribble")
      let next = try await s.save(job, after: good)
      #expect(next > trouble.step)
      #expect(try await s.client.job("\(job)").attempt?.checkpointTrouble == nil)
      try await s.lab.node("n1").revoke()
      try await s.expectOneCurveToTheEnd(job, resumedFrom: next)
    }
  }

  /// What becomes of a node in the middle of a commit.
  struct Death: Sendable, CustomTestStringConvertible {
    enum Kind: String, Sendable {
      /// Nothing of its disk is left.
      case revoked
      /// A power cut: its disk is as it was.
      case crashed
      /// Only the supervisor dies.
      case unsupervised
    }

    var kind: Kind
    /// The request that is made and not answered when it dies.
    var moment: Moment
    /// Whether the checkpoint is not lost for that.
    var isSaved: Bool

    var testDescription: String { "\(kind.rawValue) at \(moment.rawValue)" }
  }

  static let deaths: [Death] = [
    // The chunk is in the store, and nothing names it.
    Death(kind: .revoked, moment: .chunkBack, isSaved: false),
    Death(kind: .revoked, moment: .part, isSaved: false),
    Death(kind: .revoked, moment: .manifest, isSaved: false),
    // It is whole, and nobody was told.
    Death(kind: .revoked, moment: .manifestBack, isSaved: true),
    Death(kind: .crashed, moment: .chunk, isSaved: true),
    Death(kind: .unsupervised, moment: .manifest, isSaved: true),
  ]

  @Test(arguments: deaths) func resumesFromTheRightCheckpointAfter(death: Death) async throws {
    try await StoreFaultTests.with(.swift) { s, proxy in
      try await s.lease()
      let node = try s.lab.node("n1")
      let job = try await s.counting("--until-told")
      let before = try await s.save(job, after: 0)
      try await s.hold(death.moment, of: job, proxy)
      let held = try await s.savedStep(after: before)
      switch death.kind {
      case .revoked: try await node.revoke()
      case .crashed:
        try await node.crash()
        try await node.boot()
      case .unsupervised:
        let supervisor = try #require(try s.supervisor(on: node))
        #expect(kill(supervisor, SIGKILL) == 0)
      }
      try await s.expectOneCurveToTheEnd(job, resumedFrom: death.isSaved ? held : before)
      #expect(try await s.client.run("\(job)").attempts.first?.outcome == .lost)
    }
  }

  @Test func commitsAllTheSameWhenTheControllerDiesAtAnyStepOfIt() async throws {
    try await StoreFaultTests.with(.swift) { s, proxy in
      try await s.lease()
      let job = try await s.counting("--until-told")
      var step = 0
      for moment in Moment.allCases {
        try await s.hold(moment, of: job, proxy)
        try await s.lab.controller.kill()
        proxy.letGo()
        try await s.lab.controller.start(migrating: false)
        step = try await s.safe(job, after: step)
      }
      try s.finish()
      try await s.wait(job, .completed)
      let run = try await s.client.run("\(job)")
      #expect(run.attempts.map(\.outcome) == [.completed])
      #expect(run.stepsRedone == 0)
      try await s.expectOneCurve(job, steps: try #require(run.job.lastStep))
    }
  }
}

extension SystemFixture {
  /// Submits a job that counts; returns once it runs and has done a step.
  func counting(_ flags: String) async throws -> JobID {
    let job = try await count(flags).id
    try await wait(job, .running)
    try await reached(step: 1)
    return job
  }

  /// Has a job save, and waits until a step past `before` is DURABLE; returns the newest.
  func save(_ job: JobID, after before: Int) async throws -> Int {
    _ = try await client.checkpoint("\(job)")
    return try await safe(job, after: before)
  }

  /// Waits until a step past `before` is DURABLE; returns the newest.
  func safe(_ job: JobID, after before: Int) async throws -> Int {
    let view = try await wait(job, until: "safe past step \(before)") { ($0.checkpointStep ?? 0) > before }
    return try #require(view.checkpointStep)
  }

  /// Has a job save; returns once the first request of that kind is made, which nobody answers.
  func hold(_ moment: CheckpointFaultTests.Moment, of job: JobID, _ proxy: FaultProxy) async throws {
    proxy.set(.hang(times: 1), on: moment.methods, naming: moment.name)
    _ = try await client.checkpoint("\(job)")
    try await waiting(for: "\(moment) of a checkpoint") { try await proxy.met(1) }
    proxy.set(.none, on: [])
  }

  /// The step of the first save past `before`, once its program tells of it: it does so after the rename that an agent sees.
  func savedStep(after before: Int) async throws -> Int {
    try await event("a save past step \(before)") { $0.event == "saved" && $0.step > before }.step
  }

  /// What is in the path of an object of the first attempt's checkpoint of `step`, and of no other.
  func place(of name: String, step: Int) -> String {
    String(ObjectLayout.checkpoint(run: RunID(0), step: step, number: 1).split(separator: "/")[3]) + "/" + name
  }

  /// Has a job save something that is rejected; returns how, once a step past `before` is.
  func rejection(of job: JobID, after before: Int) async throws -> CheckpointTrouble {
    _ = try await client.checkpoint("\(job)")
    let view = try await wait(job, until: "told of a rejected step past \(before)") { view in
      view.attempt?.checkpointTrouble.map { $0.isRejected && $0.step > before } ?? false
    }
    return try #require(view.attempt?.checkpointTrouble)
  }

  /// Makes a file that programs look for.
  func tell(_ what: String) throws { try Data().write(to: URL(fileURLWithPath: "\(programs.folder)/\(what)")) }

  /// Tells programs that were started with `--until-told` to come to an end.
  func finish() throws { try tell("finish") }

  /// The job goes on in its second attempt from `step`, and comes to its end with one curve.
  func expectOneCurveToTheEnd(_ job: JobID, resumedFrom step: Int) async throws {
    try await reached(step: step + 1, attempt: 2)
    try finish()
    let end = try await wait(job, .completed)
    #expect(end.attempt?.resumedFromStep == step)
    #expect(end.attempt?.number == 2)
    try await expectOneCurve(job, steps: try #require(end.lastStep))
  }
}
