import ArgumentParser
import Foundation

/// `baton-bench study`: the two tables of a study for baton-train and for torch, and Downpour against the synchronous mode.
struct StudyBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "study",
    abstract: "Images a second by batch size and ranks, baton-train beside torch; Downpour's accuracy.")

  @Option(help: ArgumentHelp("Folder with mnist_5k.csv.", valueName: "folder"))
  var data = ".build/mnist"

  @Option(help: "Rounds; programs take turns in each.")
  var rounds = 3

  @Option(help: ArgumentHelp("Passes over the images with which accuracies are compared.", valueName: "epochs"))
  var epochs = 12

  @Option(help: ArgumentHelp("First of the ports that ranks meet at.", valueName: "port"))
  var port = 28_400

  @OptionGroup var options: BenchOptions

  private static let batches = [1, 2, 4, 8, 16, 32]
  private static let ranks = [1, 2, 8]
  /// Of both programs, so that caches and clocks are where they stay.
  private static let warmUp = 10
  /// Images of a run that is timed, in steps of at least 40.
  private static let images = 2560

  func run() async throws {
    let progress = Progress("study")
    let folder = options.scratchFolder("study")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var bench = Runs(folder: folder, data: BenchOptions.absolute(data), bin: options.nodeBinFolder, port: port)
    var figures: [Figure] = []
    figures += try await sideBySide(&bench, progress)
    for (name, points) in [
      ("batch", Self.batches.map { (batch: $0, ranks: 1) }), ("ranks", Self.ranks.map { (batch: 64, ranks: $0) }),
    ] {
      for point in points {
        progress.say("\(name): batch \(point.batch), \(point.ranks) ranks")
        for program in TrainingProgram.allCases {
          var rates: [Double] = []
          for _ in 0..<rounds { rates += try await bench.rate(program, batch: point.batch, ranks: point.ranks) }
          let label = name == "batch" ? "batch_\(point.batch)" : "ranks_\(point.ranks)"
          figures.append(.median("\(program.rawValue)_\(label)", rates, "images/s", against: spread(rates)))
        }
      }
    }
    figures += try await accuracies(&bench, progress)
    try FileManager.default.removeItem(atPath: folder)
    try BenchResult(name: "study", machine: Machine.text(options), figures: figures).publish(to: options.results)
  }

  /// The goal: the same network, the same batch, one thread each, in turn.
  private func sideBySide(_ bench: inout Runs, _ progress: Progress) async throws -> [Figure] {
    var rates: [TrainingProgram: [Double]] = [:]
    for round in 1...max(3, rounds) {
      progress.say("batch 64, round \(round)")
      for program in TrainingProgram.allCases {
        rates[program, default: []] += try await bench.rate(program, batch: 64, ranks: 1)
      }
    }
    let (own, torch) = (rates[.batonTrain] ?? [], rates[.torch] ?? [])
    let ratios = zip(own, torch).map { $0 / $1 }
    return [
      .median("baton_train", own, "images/s"), .median("torch", torch, "images/s"),
      .median(
        "ratio", ratios, "of torch", goal: .atLeast(0.8),
        against: "the same network and batch in torch, one thread, in turn"),
    ]
  }

  private func accuracies(_ bench: inout Runs, _ progress: Progress) async throws -> [Figure] {
    let common = ["--epochs", "\(epochs)"]
    let modes: [(name: String, ranks: Int, words: [String])] = [
      ("synchronous_2_ranks", 2, ["--learning-rate", "0.003"]),
      ("downpour_1_worker", 1, ["--mode", "downpour", "--learning-rate", "0.005"]),
      ("downpour_2_workers", 2, ["--mode", "downpour", "--learning-rate", "0.005"]),
      (
        "downpour_2_workers_every_4_steps", 2,
        ["--mode", "downpour", "--learning-rate", "0.005", "--fetch-every", "4", "--push-every", "4"]
      ),
      (
        "downpour_4_workers_warm_start", 4,
        ["--mode", "downpour", "--learning-rate", "0.005", "--warm-start-steps", "30"]
      ),
    ]
    var figures: [Figure] = []
    for mode in modes {
      progress.say("accuracy: \(mode.name)")
      let series = try await bench.run(.batonTrain, common + mode.words, ranks: mode.ranks)
      figures.append(
        Figure(
          "accuracy_\(mode.name)", series.accuracies.last, "of 1", goal: .atLeast(0.95),
          against: "\(epochs) passes over 4,000 digits, 1,000 held out"))
    }
    return figures
  }

  private func spread(_ rates: [Double]) -> String {
    guard let least = rates.min(), let most = rates.max() else { return "" }
    return "from \(Figure.text(least)) to \(Figure.text(most))"
  }

  /// Runs of programs, each at a port of its own.
  private struct Runs {
    let folder: String
    let data: String
    let bin: String
    var port: Int

    mutating func run(_ program: TrainingProgram, _ words: [String], ranks: Int) async throws -> TrainingProgram.Series
    {
      port += 1
      return try await program.run(words, ranks: ranks, data: data, folder: folder, bin: bin, port: port)
    }

    /// Images a second, as a list so that what could not be told is none.
    mutating func rate(_ program: TrainingProgram, batch: Int, ranks: Int) async throws -> [Double] {
      let steps = max(40, StudyBench.images / batch)
      let series = try await run(program, program.words(batch: batch, steps: steps), ranks: ranks)
      return series.pace(warmUp: StudyBench.warmUp).map { [$0 * Double(batch)] } ?? []
    }
  }
}
