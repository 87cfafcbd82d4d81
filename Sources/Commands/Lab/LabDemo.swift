import ArgumentParser
import Domain
import Foundation

/// `baton lab demo`.
struct LabDemo: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "One training run over two leases, against the same run without interruption.",
    discussion: "The exit status is 1 where the two are not equal in every bit.\n\n"
      + Help.examples("baton lab demo --data ./mnist", "make demo; make demo-clean"))

  @Option(
    help: ArgumentHelp("Folder with mnist_5k.csv, as `make demo` prepares it.", valueName: "folder"),
    completion: .directory)
  var data: String

  @Option(help: ArgumentHelp("The job. (default: the examples/mnist/job.yaml of Baton)", valueName: "file"))
  var job: String?

  @Option(help: ArgumentHelp("How long the first lease lasts.", valueName: "seconds"))
  var leaseSeconds = 60

  @Option(help: ArgumentHelp("From the end of the first lease to the start of the second.", valueName: "seconds"))
  var gapSeconds = 10

  @Option(help: ArgumentHelp("Where the figures go.", valueName: "file"))
  var result = "demo-result.json"

  @Option(help: ArgumentHelp("Folder of baton-agent and baton-train for the nodes.", valueName: "folder"))
  var nodeBin: String?

  @Flag(inversion: .prefixedNo, help: "Leave the lab up afterwards, to look at.")
  var keep = true

  @OptionGroup var lab: LabOptions

  @Flag(help: "Print the figures as JSON; the story then goes to standard error.")
  var json = false

  func validate() throws {
    guard leaseSeconds >= 40 else {
      throw ValidationError("--lease-seconds \(leaseSeconds): in less than 40 s no job gets a checkpoint done")
    }
    guard gapSeconds >= 0 else { throw ValidationError("--gap-seconds \(gapSeconds): give 0 or more") }
  }

  func run() async throws {
    let started = Context.uptime()
    let context = Context.current(json: json)
    let story = DemoStory(
      context: context, dataFolder: data, jobFile: try job ?? OwnPrograms.resource("examples/mnist/job.yaml"),
      leaseLength: .seconds(leaseSeconds), gap: .seconds(gapSeconds))
    let builder = LabBuilder(
      root: lab.root, nodes: 4, gpusPerNode: 1, disk: .gibibytes(2), nodePrograms: nodeBin, tell: story.say)
    var found = try await story.tell(builder)
    found.secondsTotal = (Context.uptime() - started).seconds
    try write(found)
    if json { context.console.out(try JSONText.pretty(found)) }
    if keep {
      story.say("take it down with `baton lab down --lab \(lab.root)`")
    } else {
      try await LabWork.run { try await LabWork.down(lab.root) }
      story.say("the lab is gone")
    }
    guard found.complaints.isEmpty else {
      throw CommandFailure(.foundTrouble, found.complaints.joined(separator: "; "))
    }
  }

  private func write(_ found: DemoResult) throws {
    do {
      try Data((try JSONText.pretty(found) + "\n").utf8).write(to: URL(fileURLWithPath: result), options: .atomic)
    } catch {
      throw CommandFailure(.badInput, "cannot write \(result) (\(error.localizedDescription)): choose --result")
    }
  }
}
