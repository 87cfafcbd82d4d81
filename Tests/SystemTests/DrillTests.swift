import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// A lease's end that is only played.
@Suite struct DrillTests {
  /// The report, and the checks as they were told.
  private func drill(_ s: SystemFixture, stop: Bool = false) async throws -> (report: DrillReport, told: [DrillCheck]) {
    var told: [DrillCheck] = []
    for try await step in try await s.client.drill("first", DrillRequest(stop: stop)) {
      if let check = step.check { told.append(check) }
      if let report = step.report { return (report, told) }
    }
    throw SystemFailure("the drill told no report, only \(told)")
  }

  @Test func savesAndLetsTheRunGoOn() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      try await s.lease()
      try await s.lease("second", nodes: nil, seconds: 3600, startIn: 3600)
      let job = try await s.count("--steps 2000").id
      try await s.reached(step: 5)
      let (report, told) = try await drill(s)
      #expect(report.passed, "\(report.checks)")
      #expect(Set(report.checks) == Set(told))
      let names = report.checks.map { "\($0.name) \($0.subject)" }.sorted()
      #expect(
        names == [
          "next lease \(job)", "node n1", "node n2", "read back \(job)", "save \(job)", "store object store",
        ])
      let save = report.checks.first { $0.name == "save" }
      #expect(save?.took != nil && save?.allowed == .seconds(3))
      let view = try await s.client.job("\(job)")
      #expect(view.state == .running && view.attempt?.number == 1 && view.checkpointStep != nil)
      let lines = try await s.client.events(subject: "lease-1").items.map(\.action)
      #expect(lines.contains("lease.drill"))
    }
  }

  @Test func stopsTheRunAndResumesItInTheSameLease() async throws {
    try await SystemFixture.with { s in
      let lease = try await s.lease()
      let job = try await s.count("--steps 2000").id
      try await s.reached(step: 5)
      let (report, _) = try await drill(s, stop: true)
      #expect(report.passed, "\(report.checks)")
      #expect(report.checks.contains { $0.name == "resume" && $0.took != nil })
      let run = try await s.client.run("\(job)")
      #expect(run.attempts.map(\.lease) == [lease.id, lease.id])
      #expect(run.attempts.first?.outcome == .leaseEnded)
      #expect(run.stepsRedone == 0)
    }
  }

  @Test func findsANodeThatDoesNotAnswerAndAProgramThatDoesNotSave() async throws {
    // A save is waited for for a minute.
    try await SystemFixture.with(nodes: 2, limit: .seconds(300)) { s in
      try await s.lease()
      let job = try await s.submit("name: deaf\nrun: [sleep, infinity]\n").id
      let running = try await s.wait(job, .running)
      let other = try #require(["n1", "n2"].first { $0 != running.attempt?.nodes.first?.name })
      try await s.lab.node(other).crash()
      let (report, _) = try await drill(s)
      #expect(!report.passed)
      let failed = report.checks.filter { !$0.passed }
      #expect(Set(failed.map { "\($0.name) \($0.subject)" }) == ["node \(other)", "save \(job)"], "\(failed)")
      #expect(failed.allSatisfy { $0.next != nil })
      #expect(try await s.client.job("\(job)").state == .running)
      try await s.lab.node(other).boot()
    }
  }
}
