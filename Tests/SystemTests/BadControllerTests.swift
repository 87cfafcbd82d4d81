import APIClient
import Domain
import Foundation
import Lab
import Postgres
import TestKit
import Testing
import Wire

/// The controller dies at the worst moments, and is started again.
@Suite struct BadControllerTests {
  @Test func goesOnAfterADeathWhileStaging() async throws {
    try await SystemFixture.with { s in
      let data = try await s.dataset("data", .mebibytes(1))
      try await s.lease()
      let node = try s.lab.node("n1")
      let block = try StagingBlock(data, on: node)
      let job = try await s.count("--steps 20", "data: [data]").id
      try await s.wait(job, .staging)
      try await s.supervised(on: node)
      try await s.lab.controller.kill()
      block.release()
      try await s.lab.controller.start(migrating: false)
      try await Self.expectOneAttempt(of: job, steps: 20, s)
    }
  }

  @Test func goesOnAfterADeathWhileLaunching() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      // The ranks start, and the controller dies before it can write that down.
      try await s.withDatabase { database in
        try await database.executeScript(
          """
          CREATE FUNCTION wait_in_line() RETURNS trigger LANGUAGE plpgsql AS $$
          BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END $$;
          CREATE TRIGGER wait_in_line BEFORE UPDATE ON attempt FOR EACH ROW
            WHEN (NEW.state = 'RUNNING' AND OLD.state <> 'RUNNING') EXECUTE FUNCTION wait_in_line();
          SELECT pg_advisory_lock(4711)
          """)
        let job = try await s.count("--steps 40").id
        try await s.reached(step: 2)
        #expect(try await s.client.job("\(job)").state == .launching)
        try await s.lab.controller.kill()
        try await database.executeScript("SELECT pg_advisory_unlock(4711)")
        try await s.lab.controller.start(migrating: false)
        try await Self.expectOneAttempt(of: job, steps: 40, s)
      }
    }
  }

  @Test func goesOnAfterDeathsWhileRunning() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      try await s.lease()
      let job = try await s.count("--steps 80", nodes: 2).id
      for step in [5, 30] {
        try await s.reached(step: step)
        try await s.restartController()
      }
      try await Self.expectOneAttempt(of: job, steps: 80, ranks: 2, s)
    }
  }

  @Test func goesOnAfterADeathAtTheVeryEndOfTheLease() async throws {
    try await SystemFixture.with { s in
      try await s.lease("first", seconds: 8)
      try await s.lease("second", seconds: 60, startIn: 8)
      let job = try await s.count("--steps 120").id
      try await s.event("that it was told to leave") { $0.event == "saved" }
      try await s.restartController()
      try await Self.expectTwoAttempts(of: job, steps: 120, s)
    }
  }

  @Test func losesNothingWhenItIsDeadThroughTheEndOfTheLease() async throws {
    try await SystemFixture.with { s in
      try await s.lease("first", seconds: 8)
      let job = try await s.count("--steps 120").id
      try await s.reached(step: 10)
      try await s.lab.controller.kill()
      try await s.wiped("n1")
      // Nobody was there, and the last checkpoint is in the store.
      let last = try #require(try s.programs.all("saved").last)
      let name = String(repeating: "0", count: 10 - "\(last.step)".count) + "\(last.step)-e1"
      let manifest = "\(s.lab.layout.objects)/runs/\(job.rawValue)/checkpoints/\(name)/manifest.json"
      #expect(FileManager.default.fileExists(atPath: manifest))
      try await s.lab.controller.start(migrating: false)
      try await s.wait(job, .leaseWait)
      try await s.lease("second", seconds: 60)
      try await Self.expectTwoAttempts(of: job, steps: 120, s)
      #expect(try await s.client.run("\(job)").attempts.last?.resumedFromStep == last.step)
    }
  }

  @Test func losesNothingWhenTheDatabaseIsAwayThroughTheEndOfTheLease() async throws {
    try await SystemFixture.with { s in
      let lease = try await s.lease("first", seconds: 8)
      try await s.lease("second", seconds: 60, startIn: 8)
      let job = try await s.count("--steps 120").id
      try await s.reached(step: 10)
      try await s.lab.postgres.stop()
      let node = try s.lab.node("n1")
      try await s.unsupervised(on: node)
      #expect(Date().timeIntervalSince1970 < lease.end.secondsSinceEpoch + 1)
      try await s.lab.postgres.start()
      try await Self.expectTwoAttempts(of: job, steps: 120, s)
    }
  }

  @Test(arguments: [3, 4, 5])
  func carriesOneCurveOverTwoLeasesHoweverOftenItDies(stride: Int) async throws {
    try await SystemFixture.with { s in
      // More steps than the first lease can hold, however soon the job begins.
      try await s.lease("first", seconds: 16)
      try await s.lease("second", seconds: 120, startIn: 16)
      let job = try await s.count("--steps 320").id
      // On a busy machine the deaths alone could keep it from beginning in the first lease.
      try await s.reached(step: 1)
      var next = 1 + stride
      while try s.programs.all("done").isEmpty {
        try await s.restartController()
        try await s.event("step \(next)") { $0.step >= next }
        next = (try s.programs.all("step").last?.step ?? 0) + stride
        if next > 320 { break }
      }
      try await Self.expectTwoAttempts(of: job, steps: 320, s)
      // How often it comes so far as to control before it dies is a matter of speed; the last one did.
      #expect(try await s.client.health().controllerEpoch > 1)
    }
  }

  @Test func leavesWhenItIsAskedToAndTheRunGoesOn() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let job = try await s.count("--steps 60").id
      async let end = s.wait(job, .completed)
      try await s.reached(step: 5)
      try await s.letControllerLeave()
      try await s.reached(step: 20)
      try await s.lab.controller.start(migrating: false)
      _ = try await end
      try await Self.expectOneAttempt(of: job, steps: 60, s)
    }
  }

  @Test func keepsWhatItAcknowledgedWhenTheDatabaseRestarts() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let job = try await s.count("--steps 60").id
      try await s.reached(step: 3)
      async let submissions = Self.submitMany(8, s)
      try await s.lab.postgres.stop()
      try await s.lab.postgres.start()
      try await s.reached(step: 20)
      try await s.lab.postgres.crash()
      try await s.lab.postgres.start()
      let acknowledged = try await submissions
      #expect(acknowledged.count == 8)
      for id in [job] + acknowledged { try await s.wait(id, .completed) }
      try await s.expectOneCurve(job, steps: 60)
      let known = Set(try await s.client.jobs(all: true).items.map(\.id))
      #expect(known == Set([job] + acknowledged), "none is missing, and none is there twice")
    }
  }

  /// Submits until so many are acknowledged, each with its key until the server says that it has it.
  private static func submitMany(_ count: Int, _ s: SystemFixture) async throws -> [JobID] {
    var acknowledged: [JobID] = []
    while acknowledged.count < count {
      let key = UUID().uuidString
      var job: JobID?
      while job == nil {
        do {
          job = try await s.submit(s.countingJob("--steps 1"), key: key).id
        } catch let failure as ClientFailure where failure.isAbsence {
          try await TestTime.beforeAskingAgain()
        }
      }
      acknowledged += job.map { [$0] } ?? []
    }
    return acknowledged
  }

  /// The job completes in the attempt in which it began, of which every rank was started once.
  private static func expectOneAttempt(
    of job: JobID, steps: Int, ranks: Int = 1, _ s: SystemFixture
  ) async throws {
    try await s.wait(job, .completed)
    try await s.expectOneCurve(job, steps: steps)
    #expect(try await s.client.run("\(job)").attempts.map(\.outcome) == [.completed])
    let started = try s.programs.all("start").filter { $0.job == job.rawValue }
    #expect(started.map(\.rank).sorted() == Array(0..<ranks))
  }

  /// The job completes in its second attempt, which began where the first ended.
  private static func expectTwoAttempts(of job: JobID, steps: Int, _ s: SystemFixture) async throws {
    try await s.wait(job, .completed)
    try await s.expectOneCurve(job, steps: steps)
    let run = try await s.client.run("\(job)")
    #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed])
    #expect(run.stepsRedone == 0)
    let done = try s.programs.all("step").filter { $0.job == job.rawValue }
    #expect(done.map(\.step) == Array(1...steps))
  }
}
