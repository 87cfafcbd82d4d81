import APIClient
import ArgumentParser
import Domain
import Foundation
import Lab
import Wire

/// `baton-bench reproduce`: runs of captured work trees that are done again by somebody who has nothing but a token.
struct ReproduceBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reproduce",
    abstract: "Submit from a work tree, remove it, and do the run again from a fresh home folder.")

  @Option(help: "Steps of a run.")
  var steps = 300

  @Option(help: ArgumentHelp("A Python that has PyTorch.", valueName: "program"))
  var python = "/usr/bin/python3"

  @OptionGroup var options: BenchOptions

  /// A program of `examples` and its launcher.
  private struct Program {
    var name: String
    var files: [String]
    var nodes = 1
    var launcher = "plain, processes_per_node: 1"
  }

  private static let programs = [
    Program(name: "shuffled_with_dropout", files: ["python/train.py", "python/baton.py"]),
    Program(name: "gang_of_two", files: ["pytorch/train.py"], nodes: 2, launcher: "torchrun"),
  ]

  func run() async throws {
    let figures = try await BenchLab.with("reproduce", options, nodes: 2) { bench in
      try await bench.withClient { client in
        _ = try await client.createLease(LeaseRequest(name: "day", nodeNames: bench.nodeNames, duration: "2h"))
        var figures: [Figure] = []
        for program in Self.programs { figures += try await reproduce(program, bench, client) }
        return figures
      }
    }
    try BenchResult(name: "reproduce", machine: Machine.text(options), figures: figures).publish(to: options.results)
  }

  private func reproduce(_ program: Program, _ bench: BenchLab, _ client: BatonClient) async throws -> [Figure] {
    let original = try await submitted(program, bench, client)
    let home = "\(bench.outside)/home-\(program.name)"
    let began = ContinuousClock.now
    let said = try await elsewhere(["run", "reproduce", "\(original)"], home: home, bench)
    let took = (ContinuousClock.now - began).inSeconds
    bench.progress.say("\(program.name): status \(said.status): \(said.output.split(separator: "\n").last ?? "")")
    guard let again = try await client.jobs(all: true).items.first?.id.run, again != original else {
      throw BenchFailure("\(original) was not submitted again: \(said.output)")
    }
    let run = try await client.run("\(again)")
    let comparison = try await client.compare("\(original)", "\(again)", metric: "loss")
    return [
      Figure(
        "\(program.name)_says_the_same_series", said.status == 0 && run.reproduces == original ? 1 : 0, "yes",
        goal: .equal(1), against: "the command's own verdict"),
      Figure("\(program.name)_steps_compared", Double(comparison.stepsCompared), "steps", goal: .equal(Double(steps))),
      Figure(
        "\(program.name)_steps_not_equal", Double(comparison.stepsCompared - comparison.stepsEqual), "steps",
        goal: .equal(0), against: "the original, bit for bit"),
      Figure(
        "\(program.name)_steps_missing", Double(comparison.onlyInRun + comparison.onlyInOther), "steps",
        goal: .equal(0)),
      Figure("\(program.name)_command_to_verdict", took, "s", against: "all of the run is in it"),
    ]
  }

  /// A run that was submitted from a work tree with a change that was not committed; the tree is gone afterwards.
  private func submitted(_ program: Program, _ bench: BenchLab, _ client: BatonClient) async throws -> RunID {
    let tree = "\(bench.outside)/\(program.name)"
    try FileManager.default.createDirectory(atPath: tree, withIntermediateDirectories: true)
    for file in program.files {
      let name = URL(fileURLWithPath: file).lastPathComponent
      try FileManager.default.copyItem(atPath: BenchOptions.absolute("examples/" + file), toPath: "\(tree)/\(name)")
    }
    let author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in [["init", "--quiet"], ["add", "train.py"], author + ["commit", "--quiet", "-m", "first"]] {
      try await Child.checked("git", ["-C", tree] + words, environment: ["GIT_CONFIG_GLOBAL": "/dev/null"])
    }
    let path = "\(tree)/train.py"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let changed = text.replacing("nn.Tanh()", with: "nn.Sigmoid()")
      .replacing("nn.Dropout(0.3)", with: "nn.Dropout(0.4)")
    guard changed != text else { throw BenchFailure("\(program.files[0]) is another one than this bench knows") }
    try Data(changed.utf8).write(to: URL(fileURLWithPath: path))
    let job = """
      name: \(program.name)
      resources: {nodes: \(program.nodes), gpus_per_node: 0}
      launcher: {kind: \(program.launcher)}
      run: \(python) train.py --steps \(steps)
      env: {OMP_NUM_THREADS: "1"}
      seeds: {global: 7}

      """
    try Data(job.utf8).write(to: URL(fileURLWithPath: "\(tree)/job.yaml"))
    guard let configuration = bench.description.clientConfiguration else { throw BenchFailure("the lab has no client") }
    try await Child.checked(
      "\(options.binFolder)/baton", ["submit", "\(tree)/job.yaml", "--wait"],
      environment: ["BATON_CONFIG": configuration])
    try FileManager.default.removeItem(atPath: tree)
    guard let job = try await client.jobs(all: true).items.first?.id else { throw BenchFailure("no job was made") }
    return job.run
  }

  /// The command line of somebody who has a token and an address, and no file of whoever submitted.
  private func elsewhere(_ words: [String], home: String, _ bench: BenchLab) async throws -> Child.Result {
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    let known = try ClientConfiguration.load(file: bench.description.clientConfiguration, environment: [:])
    guard let token = known.token else { throw BenchFailure("the lab's client has no token") }
    let path = "\(home)/token"
    try Data(token.utf8).write(to: URL(fileURLWithPath: path))
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    return try await Child.run(
      "\(options.binFolder)/baton", words,
      environment: [
        "HOME": home, "XDG_CONFIG_HOME": "\(home)/.config", "BATON_CONFIG": "", "BATON_URL": known.url,
        "BATON_TOKEN_FILE": path,
      ])
  }
}
