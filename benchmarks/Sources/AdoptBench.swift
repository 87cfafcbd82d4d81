import APIClient
import ArgumentParser
import Domain
import Foundation
import Lab
import Wire

/// `baton-bench adopt`: the controller is killed in the middle of things, again and again.
struct AdoptBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "adopt",
    abstract: "Kill batond while staging, launching, running and at a lease's end; count what is lost.")

  /// When the controller is killed.
  enum Moment: String, CaseIterable, ExpressibleByArgument {
    case staging, launching, running
    case leaseEnd = "lease-end"
  }

  @Option(help: "How often at each moment.")
  var times = 5

  @Option(help: "At which moments.")
  var moments: [Moment] = Moment.allCases

  @Option(help: ArgumentHelp("Size of the data set that is staged.", valueName: "MiB"))
  var dataSize = 300

  @OptionGroup var options: BenchOptions

  func validate() throws {
    guard times > 0, dataSize > 0 else { throw ValidationError("--times and --data-size are at least 1") }
  }

  func run() async throws {
    let rounds = try await BenchLab.with("adopt", options, nodes: 4) { bench in
      try await makeData(bench)
      let program = try BeatProgram(in: bench.outside)
      return try await bench.withClient { client in
        var rounds: [AdoptRound] = []
        for moment in moments {
          var hits = 0
          var tries = 0
          // Launching is over in a moment: a kill that came too late counts, but another one is tried.
          while hits < times, tries < times * (moment == .launching ? 2 : 1) {
            var round = AdoptRound(
              bench: bench, client: client, program: program, moment: moment, index: rounds.count)
            try await round.run()
            rounds.append(round)
            tries += 1
            if moment != .launching || round.stateAtKill == "launching" { hits += 1 }
          }
        }
        return rounds
      }
    }
    try BenchResult(name: "adopt", machine: Machine.text(options), figures: figures(rounds))
      .publish(to: options.results)
  }

  private func makeData(_ bench: BenchLab) async throws {
    guard moments.contains(.staging) else { return }
    try await bench.addRandomData("random", mebibytes: dataSize)
  }

  private func figures(_ rounds: [AdoptRound]) -> [Figure] {
    func sum(_ value: (AdoptRound) -> Int) -> Double { Double(rounds.reduce(0) { $0 + value($1) }) }
    var figures = [
      Figure("kills", Double(rounds.count), "kills"),
      Figure(
        "runs_lost", sum { $0.isLost ? 1 : 0 }, "runs", goal: .equal(0), samples: rounds.map { $0.isLost ? 1 : 0 }),
      Figure("steps_lost", sum(\.stepsLost), "steps", goal: .equal(0), samples: rounds.map { Double($0.stepsLost) }),
      Figure(
        "double_starts", sum(\.doubleStarts), "starts", goal: .equal(0), samples: rounds.map { Double($0.doubleStarts) }
      ),
      Figure(
        "adopted_longest", rounds.map(\.adoptedAfter).max(), "s", goal: .atMost(10), samples: rounds.map(\.adoptedAfter)
      ),
    ]
    for moment in moments {
      let own = rounds.filter { $0.moment == moment }
      let name = moment.rawValue.replacingOccurrences(of: "-", with: "_")
      let states = Dictionary(grouping: own, by: \.stateAtKill).map { "\($1.count) x \($0)" }.sorted()
      figures.append(
        .median(
          "adopted_\(name)_median", own.map(\.adoptedAfter), "s", goal: .atMost(10),
          against: "killed when the attempt was: " + states.joined(separator: ", ")))
    }
    return figures
  }
}

/// One kill, from the job's submission to its end.
struct AdoptRound {
  let bench: BenchLab
  let client: BatonClient
  let program: BeatProgram
  let moment: AdoptBench.Moment
  let index: Int

  private(set) var isLost = false
  private(set) var stepsLost = 0
  private(set) var doubleStarts = 0
  /// Seconds from the start of the new process until the attempt was followed again.
  private(set) var adoptedAfter = 0.0
  /// What the audit log says that the attempt was in when the controller died.
  private(set) var stateAtKill = ""

  private var name: String { "adopt-\(index)" }
  private var steps: Int { moment == .leaseEnd ? 260 : moment == .launching ? 40 : 80 }
  /// A gang of all nodes takes longer to launch than one node, so that a kill can come in between.
  private var nodesWanted: Int { moment == .launching ? bench.nodeNames.count : 1 }

  init(bench: BenchLab, client: BatonClient, program: BeatProgram, moment: AdoptBench.Moment, index: Int) {
    self.bench = bench
    self.client = client
    self.program = program
    self.moment = moment
    self.index = index
  }

  mutating func run() async throws {
    let leases = try await makeLeases()
    let client = client
    let launching = try await client.eventStream()
    let job = try await client.submit(
      file: program.job(
        name, steps: steps, nodes: nodesWanted, linger: moment == .leaseEnd ? 20 : 0,
        data: moment == .staging ? "random" : nil))
    try await reach(job, launching, end: leases[0].end)
    let killed = wallClock()
    try await bench.lab.controller.kill()
    // The program goes on meanwhile: what it does now only its node knows.
    try await Task.sleep(for: .milliseconds(500))
    let start = ContinuousClock.now
    try await bench.lab.controller.start(migrating: false)
    let adopted = try await comesTrue(within: .seconds(30)) { try await isAdopted(job, killed: killed) }
    adoptedAfter = (ContinuousClock.now - start).inSeconds
    let last = try await end(of: job)
    isLost = !adopted || last.state != .completed
    try await count(job)
    stateAtKill = try await state(of: job, at: killed)
    try await giveBack(leases)
    bench.progress.say(
      "\(moment.rawValue) \(index + 1), killed when \(stateAtKill): \(job) \(last.state.rawValue) after "
        + "\(last.attempt?.number ?? 0) attempts, adopted after \(Figure.text(adoptedAfter)) s, \(stepsLost) steps lost, "
        + "\(doubleStarts) double starts")
  }

  /// One lease for the job; a second one on another node where the first is to end under it.
  private func makeLeases() async throws -> [LeaseView] {
    let nodes = bench.nodeNames
    if nodesWanted > 1 {
      return [try await client.createLease(LeaseRequest(name: name, nodeNames: nodes, duration: "10m"))]
    }
    let node = nodes[(index * 2) % nodes.count]
    guard moment == .leaseEnd else {
      return [try await client.createLease(LeaseRequest(name: name, nodeNames: [node], duration: "10m"))]
    }
    let first = try await client.createLease(LeaseRequest(name: name, nodeNames: [node], duration: "30s"))
    let next = nodes[(index * 2 + 1) % nodes.count]
    let second = try await client.createLease(
      LeaseRequest(name: name + "-next", nodeNames: [next], start: (first.end + .seconds(2)).iso8601, duration: "10m"))
    return [first, second]
  }

  /// Ends the leases, and returns when their nodes are wiped: what starts on them before would go with the rest.
  private func giveBack(_ leases: [LeaseView]) async throws {
    var open: [LeaseView] = []
    for lease in leases {
      let now = try await client.lease("\(lease.id)")
      if !now.state.isFinal { open.append(now) }
    }
    let names = Set(open.flatMap { $0.nodes.map(\.name) })
    let markers = bench.description.nodes.filter { names.contains($0.name) }.map { "\($0.rootPath)/adopt-marker" }
    for marker in markers { try Data().write(to: URL(fileURLWithPath: marker)) }
    for lease in open { _ = try await client.deleteLease("\(lease.id)") }
    try await waitUntil("the nodes to be wiped", every: .milliseconds(50)) {
      !markers.contains { FileManager.default.fileExists(atPath: $0) }
    }
    for name in names {
      try await waitUntil("\(name) to answer") { try bench.lab.node(name).state == .running }
    }
  }

  /// Returns at the moment of the kill.
  private func reach(_ job: JobID, _ events: EventStream<EventView>, end: Timestamp) async throws {
    switch moment {
    case .staging:
      try await waitUntil("\(job) to stage", every: .milliseconds(5)) {
        try await client.job("\(job)").state == .staging
      }
      // The kills are spread over the time that staging takes.
      try await Task.sleep(for: .milliseconds(index % 5 * 80))
    case .launching:
      try await limited("\(job) to launch", within: .seconds(60)) {
        for try await event in events where event.action == "attempt.launching" { return }
      }
    case .running:
      try await waitUntil("\(job) to run") { (try await client.job("\(job)").lastStep ?? 0) >= 10 }
    case .leaseEnd:
      try await waitUntil("\(job) to run") { try await client.job("\(job)").state == .running }
      let left = end.secondsSinceEpoch - wallClock()
      if left > 0 { try await Task.sleep(for: .seconds(left)) }
    }
  }

  /// Whether the new process decides, and has heard of the attempt from its node.
  ///
  /// What only the node can have told it: a step that was done after the kill, progress of staging (kept in memory
  /// only), ranks that run. At a lease's end: that the attempt is over.
  private func isAdopted(_ job: JobID, killed: Double) async throws -> Bool {
    guard try await client.health().isController else { return false }
    let view = try await client.job("\(job)")
    guard let attempt = view.attempt, attempt.number == 1 else { return view.state.isFinal || view.attempt != nil }
    if attempt.state == .ended { return true }
    let beats = try program.beats().filter { $0.job == job.rawValue && $0.at <= killed }
    if let step = view.lastStep, step > beats.map(\.step).max() ?? 0 { return true }
    return moment == .staging && (view.staging != nil || attempt.state != .staging)
  }

  /// The job once it is over; one that hangs is told of, and cancelled.
  private func end(of job: JobID) async throws -> JobView {
    let isOver = try await comesTrue(within: .seconds(steps / 10 + 30)) {
      try await client.job("\(job)").state.isFinal
    }
    if isOver { return try await client.job("\(job)") }
    let view = try await client.job("\(job)")
    bench.progress.say("\(job) hangs: \(view.state.rawValue) on \(view.attempt?.nodes.map(\.name) ?? [])")
    _ = try await client.cancel("\(job)", now: true)
    return try await client.waitForEnd(of: job)
  }

  private mutating func count(_ job: JobID) async throws {
    let hasSeries = try await client.run("\(job.run)").metrics.contains { $0.metric == "beat" }
    let seen = hasSeries ? try await client.metrics("\(job.run)", "beat").steps : []
    stepsLost = Set(1...steps).subtracting(seen).count
    doubleStarts = Lives(of: job, in: try program.beats()).doubleStarts
  }

  /// The state of the job's first attempt at a moment, by the audit log.
  private func state(of job: JobID, at moment: Double) async throws -> String {
    guard let attempt = try await client.run("\(job.run)").attempts.first else { return "none" }
    let events = try await client.events(subject: "\(attempt.id)").items
    let before = events.filter { $0.at.secondsSinceEpoch <= moment && $0.action.hasPrefix("attempt.") }
    let last = before.max { $0.id < $1.id }
    return last.map { String($0.action.dropFirst("attempt.".count)) } ?? "none"
  }
}
