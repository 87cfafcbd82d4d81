import APIClient
import ArgumentParser
import Domain
import Foundation
import Wire

/// `baton study`.
struct Study: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "study",
    abstract: "Measure your own model: images a second by nodes, or by batch size.",
    discussion: Help.examples(
      "baton study scaling train.yaml --images-per-step 64", "baton study batch train.yaml --html batch.html"),
    subcommands: [StudyScaling.self, StudyBatch.self])
}

/// What both studies are told.
struct StudyOptions: ParsableArguments {
  @Argument(
    help: "The job file, with ${{ matrix.nodes }} or ${{ matrix.batch }} where the value goes.",
    completion: .file(extensions: ["yaml", "yml"]))
  var file: String

  @Option(help: ArgumentHelp("Runs of each value.", valueName: "number"))
  var repeats = 3

  @Option(help: "The metric that is looked at: a point of it is a step, by its time.")
  var metric = "loss"

  @Flag(help: "The metric's values are images a second, told by the program.")
  var rate = false

  @Option(help: ArgumentHelp("Steps at the beginning of each attempt that do not count.", valueName: "steps"))
  var warmUp = 10

  @Option(help: ArgumentHelp("Runs at a time; several on one machine disturb each other.", valueName: "number"))
  var atOnce = 1

  @Option(
    help: ArgumentHelp(
      "Where the study is kept; one that was interrupted goes on. (default: beside the job file)", valueName: "file"))
  var record: String?

  @Option(help: ArgumentHelp("Also write a page with curve and table.", valueName: "file"))
  var html: String?

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    guard (1...100).contains(repeats) else { throw ValidationError("--repeats \(repeats): 1 to 100") }
    guard warmUp >= 0 else { throw ValidationError("--warm-up \(warmUp): 0 or more") }
    guard (1...1000).contains(atOnce) else { throw ValidationError("--at-once \(atOnce): 1 to 1000") }
  }

  /// Whole numbers with commas between them, in rising order, each once.
  @Sendable static func values(_ text: String) throws -> [Int] {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    let values = parts.compactMap { Int($0) }.filter { $0 > 0 }
    guard values.count == parts.count, Set(values).count == values.count, values.count <= 100 else {
      throw ValidationError("'\(text)': write whole numbers above 0, each once, as in 1,2,4,8")
    }
    return values.sorted()
  }
}

/// `baton study scaling`.
struct StudyScaling: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scaling",
    abstract: "Images a second, speed-up and efficiency by the number of nodes.",
    discussion: Help.examples(
      "baton study scaling train.yaml --images-per-step 64                (the global batch is 64)",
      "baton study scaling train.yaml --images-per-step 32 --per-node     (32 on each node)",
      "baton study scaling train.yaml --nodes 1,2,4 --repeats 5 --metric images_per_second --rate",
      "baton study scaling train.yaml --images-per-step 64 --html scaling.html"))

  @Option(
    help: ArgumentHelp("How many nodes to try.", valueName: "numbers"), transform: StudyOptions.values)
  var nodes = [1, 2, 4, 8]

  @Option(help: ArgumentHelp("Images of a step.", valueName: "number"))
  var imagesPerStep: Int?

  @Flag(help: "That is of each node.")
  var perNode = false

  @OptionGroup var options: StudyOptions

  func validate() throws {
    if options.rate, imagesPerStep != nil || perNode {
      throw ValidationError("--rate has the program tell images a second: --images-per-step means nothing then")
    }
    guard options.rate || imagesPerStep ?? 0 > 0 else {
      throw ValidationError("--images-per-step N: say how many images a step has, or --rate where the metric tells")
    }
  }

  func run() async throws {
    try await StudyRunner(options: options).run(
      StudyQuestion(
        kind: .scaling, values: nodes, repeats: options.repeats, metric: options.metric, metricIsRate: options.rate,
        imagesPerStep: imagesPerStep, isPerNode: perNode, warmUp: options.warmUp))
  }
}

/// `baton study batch`.
struct StudyBatch: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "batch",
    abstract: "Images a second by batch size.",
    discussion: Help.examples(
      "baton study batch train.yaml", "baton study batch train.yaml --batch 1,8,64 --repeats 5",
      "baton study batch train.yaml --metric images_per_second --rate --json"))

  @Option(
    help: ArgumentHelp("Which batch sizes to try.", valueName: "numbers"), transform: StudyOptions.values)
  var batch = [1, 2, 4, 8, 16, 32]

  @OptionGroup var options: StudyOptions

  func run() async throws {
    try await StudyRunner(options: options).run(
      StudyQuestion(
        kind: .batch, values: batch, repeats: options.repeats, metric: options.metric, metricIsRate: options.rate,
        imagesPerStep: nil, isPerNode: false, warmUp: options.warmUp))
  }
}
