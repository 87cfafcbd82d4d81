import ArgumentParser
import Foundation
import Lab

/// `baton-bench demo`: one run over two leases against the same run without interruption.
struct DemoBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo", abstract: "Run `baton lab demo` and judge what it wrote.")

  @Option(help: ArgumentHelp("Folder with mnist_5k.csv.", valueName: "folder"))
  var data = ".build/mnist"

  @Option(help: ArgumentHelp("The job file.", valueName: "file"))
  var job = "examples/mnist/job.yaml"

  @Option(help: ArgumentHelp("How long the first lease lasts.", valueName: "seconds"))
  var leaseSeconds = 60

  @Option(help: ArgumentHelp("Judge this demo-result.json instead of running the demo.", valueName: "file"))
  var read: String?

  @OptionGroup var options: BenchOptions

  /// `demo-result.json`, as `baton lab demo` writes it.
  private struct Found: Decodable {
    var steps_compared: Double
    var steps_equal: Double
    var steps_lost: Double
    var steps_redone: Double
    var accuracy_interrupted: Double?
    var accuracy_uninterrupted: Double?
    var handoff_seconds: Double?
    var seconds_total: Double
  }

  func run() async throws {
    let text: Data
    if let read { text = try Data(contentsOf: URL(fileURLWithPath: read)) } else { text = try await runDemo() }
    let found = try JSONDecoder().decode(Found.self, from: text)
    let figures = [
      Figure("steps_compared", found.steps_compared, "steps", goal: .above(0)),
      Figure(
        "steps_equal", found.steps_equal, "steps", goal: .equal(found.steps_compared),
        against: "the same run without interruption, bit for bit"),
      Figure("steps_lost", found.steps_lost, "steps", goal: .equal(0)),
      Figure("steps_redone", found.steps_redone, "steps"),
      Figure("accuracy_interrupted", found.accuracy_interrupted, "of 1", goal: .atLeast(0.95)),
      Figure("accuracy_uninterrupted", found.accuracy_uninterrupted, "of 1"),
      Figure("handoff_seconds", found.handoff_seconds, "s"),
      Figure("seconds_total", found.seconds_total, "s", goal: .below(600)),
    ]
    try BenchResult(name: "demo", machine: Machine.text(options), figures: figures).publish(to: options.results)
  }

  private func runDemo() async throws -> Data {
    let progress = Progress("demo")
    let folder = options.scratchFolder("demo")
    let root = "\(folder)/lab"
    let result = "\(folder)/demo-result.json"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    progress.say("baton lab demo, in \(root)")
    let arguments = [
      "lab", "demo", "--lab", root, "--data", BenchOptions.absolute(data), "--job", BenchOptions.absolute(job),
      "--result", result, "--lease-seconds", "\(leaseSeconds)", "--node-bin", options.nodeBinFolder, "--keep",
    ]
    let end = try await Child.run("\(options.binFolder)/baton", arguments, shown: true)
    let found = FileManager.default.contents(atPath: result)
    // The demo does not take its lab down when it fails.
    progress.say("taking the lab down")
    if FileManager.default.fileExists(atPath: root) { try await Lab(root: root).down(keepLogs: options.keepLogs) }
    if !options.keepLogs { try FileManager.default.removeItem(atPath: folder) }
    // Status 1 is a demo whose figures are not as they should be: that is what this bench is to tell.
    guard let found, [0, 1].contains(end.status) else {
      throw BenchFailure("baton lab demo ended with \(end.status) and wrote no figures")
    }
    return found
  }
}
