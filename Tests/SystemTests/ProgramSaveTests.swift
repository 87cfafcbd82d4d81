import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// Programs that know nothing of Baton: they save by their own rules, and die of SIGTERM.
@Suite struct ProgramSaveTests {
  private static let examples = Places.repository + "/examples/unmodified"

  /// Runs `job` over two leases, and then once more in one; each says `unit N: loss ... (bits)` and `saved unit N`.
  private static func compare(
    nodes: Int, unit: String, every: Int, last: Int, _ job: @escaping @Sendable (String) -> String
  ) async throws {
    try await SystemFixture.with(nodes: nodes, limit: .seconds(300)) { s in
      try await s.lease("first", seconds: 30)
      try await s.lease("second", seconds: 3600, startIn: 30)
      let resumed = try await s.submit(job("0.1")).id
      try await s.wait(resumed, .completed)
      let run = try await s.client.run("\(resumed)")
      #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed], "\(run.attempts.map(\.detail))")
      let first = try await s.baton("logs", "\(resumed.rawValue)", "--attempt", "1").output
      let second = try await s.baton("logs", "\(resumed.rawValue)", "--attempt", "2").output
      // No step is lost beyond the last save: one may have been half written.
      let saved = numbers(after: "saved \(unit) ", in: first)
      let begun = try #require(numbers(after: "at \(unit) ", in: second).first, "\(second)")
      let newest = try #require(saved.last, "\(first)")
      #expect(saved.contains(begun) && begun >= newest - every, "resumed at \(begun) of \(saved)")

      let whole = try await s.submit(job("0")).id
      try await s.wait(whole, .completed)
      let log = try await s.baton("logs", "\(whole.rawValue)").output
      let wanted = try #require(line("\(unit) \(last): loss ", in: log), "\(log)")
      #expect(line("\(unit) \(last): loss ", in: second) == wanted, "the last loss, bit by bit")
    }
  }

  @Test(.enabled(if: TestPython.hasTorch, TestPython.debianAdvice))
  func aProgramWithItsOwnFlagsGoesOnInTheNextLease() async throws {
    try await Self.compare(nodes: 1, unit: "iter", every: 20, last: 360) { pace in
      """
      name: nanogpt
      resources: {gpus_per_node: 0}
      env: {OMP_NUM_THREADS: "1"}
      run: \(TestPython.debian) \(Self.examples)/nanogpt/train.py --max_iters 360 --eval_interval 20 --pace \(pace)
      checkpoint: {path: out, pattern: ckpt.pt}
      resume: {args: [--init_from=resume]}

      """
    }
  }

  @Test(.enabled(if: TestPython.hasTorch, TestPython.debianAdvice))
  func ranksThatLookForTheirSnapshotFindItOnEveryNode() async throws {
    try await Self.compare(nodes: 2, unit: "epoch", every: 20, last: 300) { pace in
      """
      name: ddp-snapshot
      resources: {nodes: 2, gpus_per_node: 0}
      launcher: {kind: torchrun}
      env: {OMP_NUM_THREADS: "1"}
      run: \(TestPython.debian) \(Self.examples)/ddp-snapshot/train.py 300 20 --pace \(pace)
      checkpoint: {path: snapshot.pt}

      """
    }
  }

  @Test func whoeverSavesByItselfCannotBeAsked() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let job = try await s.submit(
        """
        name: by itself
        resources: {gpus_per_node: 0}
        run: [bash, -c, 'echo 1 > a; mv a snapshot.pt; exec cat < <(exec sleep infinity)']
        checkpoint: {path: snapshot.pt}

        """
      ).id
      let view = try await s.wait(job, until: "saved") { $0.checkpointStep == 1 && $0.state == .running }
      #expect(view.savesByItself == true)
      let asked = try await s.baton("checkpoint", "\(job.rawValue)")
      #expect(asked.status != 0 && asked.output.contains("saves by itself (checkpoint.path)"), "\(asked.output)")
      let shown = try await s.baton("job", "show", "\(job.rawValue)").output
      #expect(shown.contains("lost when it ends") && shown.contains("is not asked to"), "\(shown)")
    }
  }

  private static func numbers(after words: String, in log: String) -> [Int] {
    log.components(separatedBy: words).dropFirst().compactMap { Int($0.prefix { $0.isNumber }) }
  }

  private static func line(_ start: String, in log: String) -> String? {
    log.split(separator: "\n").map(String.init).last { $0.hasPrefix(start) }
  }
}
