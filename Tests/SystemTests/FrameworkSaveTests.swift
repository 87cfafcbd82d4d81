import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// Trainers of frameworks, which save and resume by themselves and know nothing of Baton, with the job files of
/// `examples/unmodified`: over two leases, and without interruption.
@Suite struct FrameworkSaveTests {
  /// A program of `examples/unmodified`, and how it is run here.
  private struct Program {
    var name: String
    /// What runs it, with words before it.
    var python: String
    var flags: String
    /// Between two steps, or other things that it counts, in seconds.
    var pace: Double
    /// What it counts.
    var unit = "step"
    /// How many of those the end of a lease may cost: what is saved late is not complete by then.
    var lostAtMost: Int
    /// Whether its saves tell which they are.
    var tellsStep = true
    /// How long its first lease is, in seconds.
    var first = 30

    /// Its job file, with another command.
    func job(isPaced: Bool) throws -> String {
      let folder = Places.repository + "/examples/unmodified/\(name)"
      let file = try String(contentsOfFile: folder + "/job.yaml", encoding: .utf8)
      let begin = try #require(file.range(of: "\nrun: [")?.lowerBound)
      let end = try #require(file.range(of: "]\n", range: begin..<file.endIndex)?.upperBound)
      let run = "\nrun: \(python) \(folder)/train.py \(flags) --pace \(isPaced ? pace : 0)\n"
      return file.replacingCharacters(in: begin..<end, with: run)
    }

    /// The losses that a log tells, bit by bit, by when.
    func losses(in log: String) -> [Int: String] {
      let lines = log.split(separator: "\n").compactMap { line -> (Int, String)? in
        let words = line.split(separator: " ")
        guard words.count == 5, words[0] == unit, words[1].last == ":", words[2] == "loss" else { return nil }
        return Int(words[1].dropLast()).map { ($0, String(words[4])) }
      }
      return Dictionary(lines) { $1 }
    }

    /// Where a log says that the program went on.
    func begun(in log: String) -> Int? {
      let line = log.split(separator: "\n").first { $0.hasPrefix("resuming at \(unit) ") }
      return line?.split(separator: " ").last.flatMap { Int($0) }
    }
  }

  /// `program` goes on in its second lease where it saved last in the first, and tells the same losses as in one go.
  private func expectTheSameBits(_ program: Program) async throws {
    try await SystemFixture.with(limit: .seconds(300)) { s in
      try await s.lease("first", seconds: program.first)
      try await s.lease("second", startIn: program.first)
      let resumed = try await s.submit(try program.job(isPaced: true)).id
      try await s.wait(resumed, .completed)
      let run = try await s.client.run("\(resumed)")
      #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed], "\(run.attempts.map(\.detail))")
      let first = try await log(of: resumed, attempt: 1, s)
      let second = try await log(of: resumed, attempt: 2, s)
      let begun = try #require(program.begun(in: second), "\(first)\n---\n\(second)")
      let told = program.losses(in: first)
      #expect(begun >= (told.keys.max() ?? 0) - program.lostAtMost, "\(first)")
      if program.tellsStep { #expect(run.attempts.last?.resumedFromStep == begun) }

      let whole = try await s.submit(try program.job(isPaced: false)).id
      try await s.wait(whole, .completed)
      let wanted = program.losses(in: try await log(of: whole, attempt: 1, s))
      #expect(wanted.filter { $0.key <= begun } == told.filter { $0.key <= begun })
      #expect(wanted.filter { $0.key > begun } == program.losses(in: second))
      #expect(told.filter { $0.value != wanted[$0.key] } == [:], "what was computed again, too")
    }
  }

  private func log(of job: JobID, attempt: Int, _ s: SystemFixture) async throws -> String {
    try await s.baton("logs", "\(job.rawValue)", "--attempt", "\(attempt)").output
  }

  @Test(.enabled(if: TestPython.pytorch != nil, TestPython.advice))
  func lightningsModelCheckpointGoesOnBitByBit() async throws {
    try await expectTheSameBits(
      Program(
        name: "lightning", python: try #require(TestPython.pytorch), flags: "--max_steps 280 --every_n_train_steps 20",
        pace: 0.1, lostAtMost: 40))
  }

  @Test(.enabled(if: TestPython.pytorch != nil, TestPython.advice))
  func huggingFacesTrainerGoesOnBitByBit() async throws {
    let flags =
      "--output_dir out --max_steps 280 --save_steps 20 --logging_steps 10 --per_device_train_batch_size 8 "
      + "--learning_rate 1e-3 --report_to none --disable_tqdm true"
    // A folder is complete 5 seconds after it was written, which are 50 steps.
    try await expectTheSameBits(
      Program(
        name: "hf-trainer", python: try #require(TestPython.pytorch), flags: flags, pace: 0.1, lostAtMost: 100))
  }

  @Test(.enabled(if: TestPython.tensorflow != nil, TestPython.advice))
  func kerasBackupAndRestoreGoesOnBitByBit() async throws {
    // 16 batches an epoch: its backup is left alone for 5.6 seconds.
    try await expectTheSameBits(
      Program(
        name: "keras", python: try #require(TestPython.tensorflow), flags: "--epochs 7", pace: 0.35, unit: "epoch",
        lostAtMost: 2, tellsStep: false, first: 35))
  }
}
