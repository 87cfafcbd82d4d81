import APIClient
import ArgumentParser
import Domain
import Foundation
import Lab
import Wire

/// `baton-bench submit`: how soon a submitted job runs, and how many submissions are taken.
struct SubmitBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "submit",
    abstract: "From submission to the program's first line; durable submissions a second.")

  @Option(help: "How many jobs are started one after another.")
  var times = 30

  @Option(help: ArgumentHelp("How long each of the rates is measured.", valueName: "seconds"))
  var seconds = 4

  @Option(help: "How often each of the rates is measured.")
  var rounds = 3

  @OptionGroup var options: BenchOptions

  func validate() throws {
    guard times > 0, seconds > 0, rounds > 0 else { throw ValidationError("all numbers are at least 1") }
  }

  func run() async throws {
    let figures = try await BenchLab.with("submit", options, nodes: 2) { bench in
      let started = try await StartLatency(bench: bench, times: times).measure()
      return started + (try await SubmissionRate(bench: bench, seconds: seconds, rounds: rounds).measure())
    }
    try BenchResult(name: "submit", machine: Machine.text(options), figures: figures).publish(to: options.results)
  }
}

/// From the call that submits a job to the first thing its program does, on a node that ran others before.
struct StartLatency {
  let bench: BenchLab
  let times: Int

  private static let warmUps = 2

  func measure() async throws -> [Figure] {
    let script = "\(bench.outside)/first-line.sh"
    // The shell's own clock: a program that asks another one for the time would be late.
    try Data("echo \"$EPOCHREALTIME\" >\"$1.new\" && mv \"$1.new\" \"$1\"\n".utf8)
      .write(to: URL(fileURLWithPath: script))
    let samples = try await bench.withClient { client in
      _ = try await client.createLease(
        LeaseRequest(name: "start", nodeNames: [bench.nodeNames[0]], duration: "1h"))
      var samples: [Double] = []
      for index in 0..<(Self.warmUps + times) {
        let seconds = try await start(client, script, index)
        if index >= Self.warmUps { samples.append(seconds) }
        bench.progress.say("job \(index + 1): first line after \(Figure.text(seconds)) s")
      }
      _ = try await client.deleteLease("start")
      return samples
    }
    let peers = "Slurm 22.05 here, earlier: 2.67 s as shipped, 0.66 s tuned; OAR 2.5.9: 1.63 s; HyperQueue: 0.007 s"
    return [
      .median("submit_to_first_line_median", samples, "s", goal: .below(0.66), against: peers),
      Figure("submit_to_first_line_p95", samples.percentile95, "s", samples: samples),
    ]
  }

  private func start(_ client: BatonClient, _ script: String, _ index: Int) async throws -> Double {
    let file = "\(bench.outside)/first-\(index)"
    let submitted = wallClock()
    let job = try await client.submit(file: "name: start-\(index)\nrun: [bash, \(script), \(file)]\n")
    let end = try await client.waitForEnd(of: job)
    guard end.state == .completed, let data = FileManager.default.contents(atPath: file),
      let started = Double(String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))
    else { throw BenchFailure("\(job) is \(end.state.rawValue): \(end.reasonDetail ?? end.reason)") }
    return started - submitted
  }
}

/// Submissions that are in the database for good when they are answered, beside what PostgreSQL itself can do.
struct SubmissionRate {
  let bench: BenchLab
  let seconds: Int
  let rounds: Int

  func measure() async throws -> [Figure] {
    let ceiling = try await CommitCeiling(bench: bench, seconds: seconds)
    var samples: [String: [Double]] = [:]
    var taken = 0
    for round in 1...rounds {
      // Side by side: what disturbs the machine disturbs both.
      for clients in [1, 8] {
        let count = try await submissions(clients: clients)
        taken += count
        samples["submissions \(clients)", default: []].append(Double(count) / Double(seconds))
        samples["commits \(clients)", default: []].append(try await ceiling.rate(connections: clients))
      }
      let rates = [1, 8].map { Figure.text(samples["submissions \($0)"]?.last ?? 0) }
      bench.progress.say("round \(round): \(rates[0])/s by one client, \(rates[1])/s by eight; \(taken) jobs wait")
    }
    func median(_ name: String, _ key: String, _ goal: Goal?, _ against: String?) -> Figure {
      .median(name, samples[key] ?? [], "1/s", goal: goal, against: against)
    }
    func against(_ slurm: Int, _ others: String, _ key: String) -> String {
      "Slurm 22.05 (without slurmdbd) here, earlier: \(slurm)/s; \(others); PostgreSQL's commits in this run: "
        + "\(Figure.text(samples[key]?.median ?? 0))/s"
    }
    return [
      median(
        "submissions_1_client", "submissions 1", .atLeast(126),
        against(126, "OAR 2.5.9: 4.8/s; HyperQueue, not durable: 486/s", "commits 1")),
      median(
        "submissions_8_clients", "submissions 8", .atLeast(234),
        against(234, "OAR 2.5.9: 9.5/s; HyperQueue, not durable: 1,500/s", "commits 8")),
      median("postgres_commits_1_connection", "commits 1", nil, "pgbench, one row a commit; here, earlier: 3,921/s"),
      median("postgres_commits_8_connections", "commits 8", nil, "pgbench, one row a commit; here, earlier: 12,269/s"),
      Figure("jobs_waiting_at_the_end", Double(taken), "jobs"),
    ]
  }

  /// How many submissions are answered in `seconds`, by `clients` that have a connection each.
  private func submissions(clients: Int) async throws -> Int {
    let start = ContinuousClock.now
    let end = start + .seconds(seconds)
    return try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<clients {
        group.addTask {
          try await bench.withClient { client in
            var count = 0
            while ContinuousClock.now < end {
              _ = try await client.submit(file: "name: waits\nrun: [\"true\"]\n")
              count += 1
            }
            return count
          }
        }
      }
      return try await group.reduce(0, +)
    }
  }
}

/// What the lab's own PostgreSQL commits in a second when nobody asks more of it than that.
struct CommitCeiling {
  private let program: String
  private let conninfo: String
  private let script: String
  private let seconds: Int

  init(bench: BenchLab, seconds: Int) async throws {
    conninfo = try bench.lab.postgres.conninfo
    script = "\(bench.outside)/commit.sql"
    self.seconds = seconds
    let versions = try FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")
    let programs = versions.sorted().map { "/usr/lib/postgresql/\($0)/bin/pgbench" }
    guard let program = programs.last(where: FileManager.default.isExecutableFile) else {
      throw BenchFailure("pgbench is not installed: apt-get install postgresql-contrib")
    }
    self.program = program
    let setUp = "\(bench.outside)/commit-table.sql"
    try Data("CREATE TABLE bench_commit (value integer NOT NULL);\n".utf8).write(to: URL(fileURLWithPath: setUp))
    try Data("INSERT INTO bench_commit (value) VALUES (1);\n".utf8).write(to: URL(fileURLWithPath: script))
    try await Child.checked(program, ["--no-vacuum", "--transactions=1", "--file=\(setUp)", conninfo])
  }

  func rate(connections: Int) async throws -> Double {
    let output = try await Child.checked(
      program,
      [
        "--no-vacuum", "--file=\(script)", "--client=\(connections)", "--jobs=\(min(2, connections))",
        "--time=\(seconds)", "--protocol=prepared", conninfo,
      ])
    let line = output.split(separator: "\n").first { $0.hasPrefix("tps = ") }
    guard let word = line?.split(separator: " ").dropFirst(2).first, let rate = Double(word) else {
      throw BenchFailure("pgbench told no rate: \(output)")
    }
    return rate
  }
}
