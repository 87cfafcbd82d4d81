import APIClient
import ArgumentParser
import Domain
import Foundation
import Wire

/// `baton-bench launchers`: every kind of launcher on its real framework, over two leases, against a run in one.
struct LaunchersBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "launchers",
    abstract: "Run every row of the launcher table over two leases, and compare with one without interruption.")

  @Option(help: "Steps of a run, of a tenth of a second at least: the first lease has to end among them.")
  var steps = 500

  @Option(help: ArgumentHelp("Only the rows whose names begin with one of these, as in jax,mpi.", valueName: "names"))
  var rows = ""

  @Option(help: ArgumentHelp("A Python that has PyTorch and mpi4py.", valueName: "program"))
  var python = "/usr/bin/python3"

  @Option(help: ArgumentHelp("Folder of Pythons made by scripts/python/install.sh.", valueName: "folder"))
  var pythons = ".build/python"

  @Option(help: ArgumentHelp("Folder with mnist_5k.csv.", valueName: "folder"))
  var data = ".build/mnist"

  @OptionGroup var options: BenchOptions

  private static let nodesMost = 4

  func run() async throws {
    let chosen = try chosenRows()
    // The second lease is on other nodes than the first, which are wiped meanwhile.
    let figures = try await BenchLab.with("launchers", options, nodes: 2 * Self.nodesMost) { bench in
      if chosen.contains(where: { $0.data != nil }) {
        try await bench.addDataset("mnist", BenchOptions.absolute(data))
      }
      return try await bench.withClient { client in
        var figures: [Figure] = []
        for row in chosen { figures += try await TwoLeases(bench: bench, client: client, row: row).figures() }
        return figures
      }
    }
    try BenchResult(name: "launchers", machine: Machine.text(options), figures: figures).publish(to: options.results)
  }

  private func chosenRows() throws -> [LauncherRow] {
    func python(_ name: String) -> String { BenchOptions.absolute("\(pythons)/\(name)/bin/python3") }
    let all = LauncherRow.all(
      python: self.python, tensorflow: python("tensorflow"), mxnet: python("mxnet"),
      pytorch: python("pytorch"), steps: steps, data: "mnist")
    let names = rows.split(separator: ",")
    let chosen = all.filter { row in names.isEmpty || names.contains { row.name.hasPrefix($0) } }
    guard !chosen.isEmpty else {
      throw BenchFailure("no row begins with \(rows): there are \(all.map(\.name).joined(separator: ", "))")
    }
    return chosen
  }
}

/// One row: a run that a lease's end interrupts, one that nothing does.
private struct TwoLeases {
  let bench: BenchLab
  let client: BatonClient
  let row: LauncherRow

  func figures() async throws -> [Figure] {
    let here = Array(bench.nodeNames.prefix(row.nodes))
    let there = Array(bench.nodeNames.suffix(row.nodes))
    try await areAlive(here + there)
    let first = try await client.createLease(
      LeaseRequest(name: "\(row.name)-first", nodeNames: here, duration: "\(row.leaseSeconds)s"))
    let second = try await client.createLease(
      LeaseRequest(name: "\(row.name)-second", nodeNames: there, start: first.end.iso8601, duration: "1h"))
    let resumed = try await completed(row.job("resumed", isSlow: true))
    let whole = try await completed(row.job("whole", lease: second.name, isSlow: false))
    _ = try await client.deleteLease("\(second.id)")

    let run = try await client.run("\(resumed)")
    let (left, right) = (try await losses(resumed), try await losses(whole))
    let from = run.attempts.last?.resumedFromStep ?? 0
    let leases = Set(run.attempts.map(\.lease)).count
    let start = zip(left.attempts, left.recordedAt ?? []).first { $0.0 > 1 }
      .map { ($0.1 - second.start).seconds }
    let missing = Double(Set(1...row.steps).subtracting(left.steps).count + run.stepsRedone)
    bench.progress.say(
      "\(row.name): \(leases) leases, resumed from step \(from), "
        + "first step \(start.map(Figure.text) ?? "-") s after the lease's start")
    return [
      Figure("\(row.name)_leases", Double(leases), "leases", goal: .equal(2), against: "it went on from step \(from)"),
      difference(left, right),
      Figure("\(row.name)_steps_missing_or_twice", missing, "steps", goal: .equal(0)),
      Figure("\(row.name)_lease_start_to_first_step", start, "s"),
    ]
  }

  /// How far the resumed run is from the whole one.
  private func difference(_ left: MetricSeries, _ right: MetricSeries) -> Figure {
    switch row.promise {
    case .bitwise:
      let known = Dictionary(uniqueKeysWithValues: zip(left.steps, left.values))
      let unequal = zip(right.steps, right.values).filter { known[$0]?.bitPattern != $1.bitPattern }.count
      return Figure(
        "\(row.name)_steps_not_equal", Double(unequal), "steps", goal: .equal(0),
        against: "\(right.steps.count) steps of the same run in one lease, bit for bit")
    case .close(let tolerance):
      func last(_ series: MetricSeries) -> Double {
        let values = series.values.suffix(max(1, row.steps / 5))
        return values.reduce(0, +) / Double(values.count)
      }
      let (one, other) = (last(left), last(right))
      let learned = left.values.first.map { Figure.text($0) } ?? "-"
      return Figure(
        "\(row.name)_last_losses_apart", abs(one - other) / max(one, other), "of the greater",
        goal: .atMost(tolerance),
        against: "no two runs are equal: mean of the last \(row.steps / 5) steps \(Figure.text(one)), "
          + "in one lease \(Figure.text(other)), of \(learned) at the first step")
    }
  }

  private func losses(_ job: JobID) async throws -> MetricSeries { try await client.metrics("\(job)", "loss") }

  private func completed(_ file: String) async throws -> JobID {
    let job = try await client.submit(file: file)
    let end = try await client.waitForEnd(of: job, within: .seconds(400))
    guard end.state == .completed else {
      throw BenchFailure("\(row.name): \(job) is \(end.state.rawValue): \(end.reasonDetail ?? end.reason)")
    }
    return job
  }

  /// Waits until nodes that were wiped answer again.
  private func areAlive(_ names: [String]) async throws {
    try await waitUntil("\(names) to be alive", within: .seconds(120), every: .milliseconds(200)) {
      try await client.nodes().items.filter { names.contains($0.name) }.allSatisfy { $0.state == .alive }
    }
  }
}
