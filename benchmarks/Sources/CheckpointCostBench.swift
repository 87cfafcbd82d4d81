import APIClient
import ArgumentParser
import Domain
import Foundation
import Lab
import ObjectStorage
import Wire

/// `baton-bench checkpoint-cost`: what periodic checkpoints cost a program, and how soon they are durable.
struct CheckpointCostBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint-cost",
    abstract: "Compare steps with periodic checkpoints to steps without, and a checkpoint to a raw upload.")

  @Option(help: ArgumentHelp("What a checkpoint is; 1024 on a machine with many processors.", valueName: "MiB"))
  var size: Int64 = 256

  @Option(help: "How many runs with checkpoints, each beside one without.")
  var pairs = 5

  @Option(help: ArgumentHelp("How long each run computes.", valueName: "seconds"))
  var runSeconds = 60

  @Option(help: ArgumentHelp("Between two checkpoints.", valueName: "seconds"))
  var every = 20

  @Option(help: "How many checkpoints, each beside a raw upload.")
  var uploads = 5

  @OptionGroup var options: BenchOptions

  func validate() throws {
    guard size > 0, pairs > 0, uploads > 0 else { throw ValidationError("--size, --pairs, --uploads 1...") }
    guard every > 0, runSeconds > every else {
      throw ValidationError("--run-seconds: no checkpoint in less than --every")
    }
  }

  func run() async throws {
    let disk = ByteCount.mebibytes(size * 6 + 1024)
    let figures = try await BenchLab.with("checkpoint-cost", options, nodes: 1, disk: disk) { bench in
      let program = try StepProgram(in: bench.outside, size: .mebibytes(size))
      return try await bench.withClient { client in
        _ = try await client.createLease(
          LeaseRequest(name: "cost", nodeNames: bench.nodeNames, duration: "12h"))
        let steps = try await measureSteps(bench, client, program)
        let alone = try await measureUploads(bench, client, program, rests: true)
        return steps + alone + (try await measureUploads(bench, client, program, rests: false))
      }
    }
    try BenchResult(name: "checkpoint-cost", machine: Machine.text(options), figures: figures).publish(
      to: options.results)
  }

  /// Runs with and without checkpoints, in turn.
  private func measureSteps(
    _ bench: BenchLab, _ client: BatonClient, _ program: StepProgram
  ) async throws -> [Figure] {
    var (overhead, saving, plain, saves) = ([Double](), [Double](), [Double](), 0)
    for pair in 0..<pairs {
      var runs: [Bool: StepTimes] = [:]
      // Which is first changes, so that a machine that grows slower favours none.
      for isSaving in pair % 2 == 0 ? [false, true] : [true, false] {
        let job = try await client.submit(
          file: program.job("cost-\(pair)-\(isSaving)", seconds: runSeconds, every: isSaving ? every : nil))
        let end = try await client.waitForEnd(of: job, within: .seconds(runSeconds * 3 + 120))
        guard end.state == .completed else { throw BenchFailure("\(job) is \(end.state.rawValue): \(end.reason)") }
        runs[isSaving] = try program.times(of: job)
      }
      guard let with = runs[true], let without = runs[false], with.saves > 0 else {
        throw BenchFailure("a run saved nothing: --run-seconds is to be some times --every")
      }
      overhead.append(with.delay - without.delay)
      saving.append(with.savingSeconds / with.seconds)
      plain.append(without.step)
      saves += with.saves
      bench.progress.say(
        "pair \(pair + 1): \(Figure.text(with.step)) s a step with \(with.saves) saves, \(Figure.text(without.step)) s "
          + "without; delayed by \(Figure.text(with.delay)), \(Figure.text(without.delay))"
      )
    }
    return [
      Figure.median(
        "step_overhead", overhead, "of step time", goal: .below(0.01),
        against: "the same run without; \(size) MiB every \(every) s, \(saves) saves in all"),
      Figure.median("program_saving", saving, "of run time", against: "no goal: the program's own writing"),
      Figure.median("step_seconds", plain, "s", against: "without checkpoints"),
    ]
  }

  /// Checkpoints that are asked for, and raw uploads of as many bytes, in turn: of a program that leaves the processors
  /// alone, where `rests`, or computes on one.
  private func measureUploads(
    _ bench: BenchLab, _ client: BatonClient, _ program: StepProgram, rests: Bool
  ) async throws -> [Figure] {
    let name = rests ? "" : "beside_computing_"
    let job = try await client.submit(
      file: program.job("\(name.replacing("_", with: "-"))uploads", seconds: 86_400, every: nil, rests: rests))
    try await waitUntil("\(job) to run") { try await client.job("\(job)").state == .running }
    let store = FileObjectStore(root: bench.lab.layout.objects)
    var (durable, raw) = ([Double](), [Double]())
    for round in 0..<uploads {
      durable.append(try await secondsToDurable(job, after: round, client, program))
      raw.append(try await secondsToPut(store, program, "bench/raw-\(round)"))
      bench.progress.say(
        "\(name)durable after \(Figure.text(durable[round])) s, raw upload \(Figure.text(raw[round])) s")
    }
    _ = try await client.cancel("\(job)")
    _ = try await client.waitForEnd(of: job, within: .seconds(120))
    let ratio = zip(durable, raw).map { $0 / $1 }
    return [
      Figure.median("\(name)durable_seconds", durable, "s", against: "\(size) MiB, from the rename to DURABLE"),
      Figure.median("\(name)raw_upload_seconds", raw, "s", against: "one put of as many bytes into the same store"),
      Figure(
        "\(name)durable_over_raw", durable.median.flatMap { top in raw.median.map { top / $0 } }, "times",
        goal: rests ? .atMost(1.2) : nil,
        against: "medians of \(uploads), in turn" + (rests ? "" : ", the program computing on one processor"),
        samples: ratio),
    ]
  }

  private func secondsToDurable(
    _ job: JobID, after count: Int, _ client: BatonClient, _ program: StepProgram
  ) async throws -> Double {
    _ = try await client.checkpoint("\(job)")
    var durableAt: Timestamp?
    try await waitUntil("checkpoint \(count + 1) of \(job)", within: .seconds(600), every: .milliseconds(50)) {
      let found = try await client.checkpoints(of: "\(job)").items.filter { $0.state == .durable }
      durableAt = found.compactMap(\.durableAt).max()
      return found.count > count
    }
    guard let durableAt, let saved = try program.times(of: job).lastSaved else {
      throw BenchFailure("\(job) saved nothing")
    }
    // One machine, one clock.
    return durableAt.secondsSinceEpoch - saved
  }

  private func secondsToPut(_ store: FileObjectStore, _ program: StepProgram, _ key: String) async throws -> Double {
    let began = ContinuousClock.now
    _ = try await store.put(key, from: .file(path: program.state), sha256: nil, replacing: true)
    let took = (ContinuousClock.now - began).inSeconds
    try await store.delete(key)
    return took
  }
}
