import APIClient
import ArgumentParser
import Domain
import Foundation
import Wire

/// `baton-bench startup`: how soon the ranks of a gang work together, and how soon one that dies ends it.
struct StartupBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "startup",
    abstract: "From the first rank's start until all ranks step, and from a rank's death to the attempt's end.")

  @Option(help: "How many nodes, one rank on each.")
  var nodes = 8

  @Option(help: "How often each is measured.")
  var times = 5

  @OptionGroup var options: BenchOptions

  /// What the ranks meet by.
  private enum Framework: String, CaseIterable {
    /// Sockets of Python's own library.
    case none
    /// `torch.distributed` with gloo.
    case torch
  }

  func validate() throws {
    guard times > 0, (2...64).contains(nodes) else { throw ValidationError("--times 1..., --nodes 2 to 64") }
  }

  func run() async throws {
    let figures = try await BenchLab.with("startup", options, nodes: nodes) { bench in
      let program = StartupProgram(folder: bench.outside, nodes: nodes)
      return try await bench.withClient { client in
        _ = try await client.createLease(
          LeaseRequest(name: "startup", nodeNames: bench.nodeNames, duration: "12h"))
        // What is first on a node brings the agent there, and reads the program's files.
        for framework in Framework.allCases { _ = try await start(framework, client, program) }
        var figures: [Figure] = []
        for framework in Framework.allCases { figures += try await measure(framework, bench, client, program) }
        return figures
      }
    }
    try BenchResult(name: "startup", machine: Machine.text(options), figures: figures).publish(to: options.results)
  }

  private func measure(
    _ framework: Framework, _ bench: BenchLab, _ client: BatonClient, _ program: StartupProgram
  ) async throws -> [Figure] {
    var (baton, spread, direct, death) = ([Double](), [Double](), [Double](), [Double]())
    for round in 0..<times {
      let gang = try await start(framework, client, program)
      baton.append(gang.startup)
      spread.append(gang.spread)
      direct.append(try await program.startDirectly(framework.rawValue, round).startup)
      death.append(try await dies(framework, client, program))
      bench.progress.say(
        "\(framework.rawValue) \(round + 1): all step after \(Figure.text(baton[round])) s (started directly "
          + "\(Figure.text(direct[round])) s); ended \(Figure.text(death[round])) s after a rank's death")
    }
    let name = framework == .none ? "sockets" : framework.rawValue
    let peer = direct.median
    return [
      .median(
        "\(name)_startup_seconds", baton, "s", goal: peer.map { .atMost($0 * 1.2) },
        against: "the same \(nodes) ranks started directly, in one go: \(peer.map(Figure.text) ?? "-") s; goal 1.2 x"),
      .median("\(name)_start_spread_seconds", spread, "s", against: "from the first rank's start to the last one's"),
      .median("\(name)_direct_seconds", direct, "s", against: "no Baton: processes of one parent"),
      .median(
        "\(name)_death_to_end_seconds", death, "s", goal: .atMost(5),
        against: "from os._exit(3) in one rank, the others hang or fail, to the attempt's end in the database"),
    ]
  }

  private func start(
    _ framework: Framework, _ client: BatonClient, _ program: StartupProgram
  ) async throws -> GangTimes {
    let job = try await client.submit(file: program.job(framework.rawValue))
    let end = try await client.waitForEnd(of: job)
    guard end.state == .completed else {
      throw BenchFailure("\(job) is \(end.state.rawValue): \(end.reasonDetail ?? end.reason)")
    }
    return try program.times(of: "\(job.rawValue)")
  }

  /// Seconds from the death of a rank in the middle to the end of the attempt.
  private func dies(_ framework: Framework, _ client: BatonClient, _ program: StartupProgram) async throws -> Double {
    let job = try await client.submit(file: program.job(framework.rawValue, dies: nodes / 2))
    let end = try await client.waitForEnd(of: job)
    guard end.state == .failed, let endedAt = end.attempt?.endedAt else {
      throw BenchFailure("\(job) is \(end.state.rawValue) although a rank of it died")
    }
    guard let died = try program.times(of: "\(job.rawValue)").died else { throw BenchFailure("no rank of \(job) died") }
    // One machine, one clock.
    return endedAt.secondsSinceEpoch - died
  }
}

/// When the ranks of a gang did what.
struct GangTimes {
  var started: [Double] = []
  var met: [Double] = []
  var died: Double?

  /// From the first rank's start until the last one stepped with all others.
  var startup: Double { (met.max() ?? .nan) - (started.min() ?? .nan) }
  /// From the first rank's start to the last one's.
  var spread: Double { (started.max() ?? .nan) - (started.min() ?? .nan) }
}

/// `benchmarks/programs/startup.py`, on nodes or without Baton.
struct StartupProgram: Sendable {
  /// Where ranks tell what they did.
  let folder: String
  let nodes: Int

  private static let python = "/usr/bin/python3"
  private static let script = BenchOptions.absolute("benchmarks/programs/startup.py")

  /// A job of one rank a node, of which `dies` dies.
  func job(_ framework: String, dies: Int? = nil) -> String {
    """
    name: startup
    resources: {nodes: \(nodes), gpus_per_node: 0}
    launcher: {kind: torchrun}
    env: {OMP_NUM_THREADS: "1"}
    run: \(Self.python) \(Self.script) \(folder) \(framework)\(dies.map { " --dies \($0)" } ?? "")

    """
  }

  /// What the ranks of `job` told.
  func times(of job: String) throws -> GangTimes {
    var times = GangTimes()
    for rank in 0..<nodes {
      let file = URL(fileURLWithPath: "\(folder)/startup-\(job)-\(rank)")
      for line in String(decoding: try Data(contentsOf: file), as: UTF8.self).split(separator: "\n") {
        let words = line.split(separator: " ")
        guard words.count == 2, let moment = Double(words[1]) else { continue }
        switch words[0] {
        case "started": times.started.append(moment)
        case "met": times.met.append(moment)
        default: times.died = moment
        }
      }
    }
    guard times.met.count == nodes else { throw BenchFailure("\(times.met.count) of \(nodes) ranks of \(job) met") }
    return times
  }

  /// The same ranks as processes of this program, each with an address of its own as the nodes have.
  func startDirectly(_ framework: String, _ round: Int) async throws -> GangTimes {
    let job = "direct-\(framework)-\(round)"
    // Below what the kernel gives to outgoing connections; one that is taken fails the bench, and loudly.
    let port = Int.random(in: 20_000...32_000)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for rank in 0..<nodes {
        let environment = [
          "BATON_JOB_ID": job, "RANK": "\(rank)", "WORLD_SIZE": "\(nodes)", "MASTER_ADDR": "127.0.0.1",
          "MASTER_PORT": "\(port)", "OMP_NUM_THREADS": "1",
        ]
        group.addTask {
          try await Child.checked(Self.python, [Self.script, folder, framework], environment: environment)
        }
      }
      try await group.waitForAll()
    }
    return try times(of: job)
  }
}
