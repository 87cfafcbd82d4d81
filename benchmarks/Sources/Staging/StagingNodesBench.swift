import APIClient
import ArgumentParser
import Domain
import Foundation
import Glibc
import Lab
import ObjectStorage
import Wire

/// `baton-bench staging-nodes`: a set that several nodes need crosses the link to the store once.
struct StagingNodesBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "staging-nodes",
    abstract: "A job on two, four and eight nodes behind one limited link to the store: bytes and time.")

  @Option(parsing: .upToNextOption, help: "On how many nodes.")
  var sizes = [2, 4, 8]

  @Option(help: ArgumentHelp("Size of the set, in four files.", valueName: "mebibytes"))
  var size = 256

  @Option(help: ArgumentHelp("What the link carries in a second.", valueName: "mebibytes"))
  var rate = 16

  @Option(help: "How often each is measured.")
  var times = 3

  @OptionGroup var options: BenchOptions

  func validate() throws {
    guard times > 0, size >= 4, rate > 0, sizes.allSatisfy({ (1...64).contains($0) }), !sizes.isEmpty else {
      throw ValidationError("--times and --rate are at least 1, --size at least 4, --sizes are 1 to 64")
    }
    guard getuid() == 0 else { throw ValidationError("network namespaces take root") }
  }

  func run() async throws {
    let figures = try await LimitedLink.with(mebibytesPerSecond: rate) { link in
      try await ObjectServers.with(launcher: link.launcher, host: link.address) { servers in
        try await measure(link, servers)
      }
    }
    try BenchResult(name: "staging-nodes", machine: Machine.text(options), figures: figures)
      .publish(to: options.results)
  }

  private func measure(_ link: LimitedLink, _ servers: ObjectServers) async throws -> [Figure] {
    let credentials = options.scratchFolder("credentials")
    let door = ["auth_url": servers.door.authURL, "user": servers.door.user, "key": servers.door.password]
    try JSONEncoder().encode(["swift": door]).write(to: URL(fileURLWithPath: credentials))
    chmod(credentials, 0o600)
    defer { unlink(credentials) }
    _ = try await servers.container("bench-nodes")
    let store = LabSettings.ObjectStoreChoice(location: "swift://bench-nodes/baton", credentialsFile: credentials)
    // Room for two sets: the one before is evicted.
    let disk = ByteCount.mebibytes(Int64(size * 5 / 2 + 64))
    return try await BenchLab.with(
      "staging-nodes", options, nodes: sizes.max() ?? 1, disk: disk, objectStore: store
    ) { bench in
      var runs: [Int: [Run]] = [:]
      for round in 0..<times {
        for count in sizes {
          let run = try await stage(bench, link, nodes: count, number: round * sizes.count + (runs.count))
          bench.progress.say(
            "\(count) nodes: \(Figure.text(run.seconds)) s, \(Figure.text(run.share)) of the set over the link")
          runs[count, default: []].append(run)
        }
      }
      return figures(runs)
    }
  }

  /// One job's.
  private struct Run {
    var seconds: Double
    /// What came from the store, divided by the size of the set.
    var share: Double
  }

  /// Adds a new set, and runs a job on the first `nodes` nodes that needs it.
  private func stage(_ bench: BenchLab, _ link: LimitedLink, nodes: Int, number: Int) async throws -> Run {
    let name = "set-\(number)-\(nodes)"
    let folder = "\(bench.outside)/\(name)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let set = SyntheticSet(name: name, count: 4, size: (size << 20) / 4)
    for index in 0..<set.count {
      try Data(set.content(index + number * 64 + nodes * 4096)).write(to: URL(fileURLWithPath: "\(folder)/\(index)"))
    }
    try await bench.addDataset(name, folder)
    try FileManager.default.removeItem(atPath: folder)
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let script = "\(bench.outside)/\(name).sh"
    try Data(
      "echo \"$EPOCHREALTIME\" >\"$1/$BATON_NODE_RANK.new\" && mv \"$1/$BATON_NODE_RANK.new\" \"$1/$BATON_NODE_RANK\"\n"
        .utf8
    )
    .write(to: URL(fileURLWithPath: script))
    return try await bench.withClient { client in
      _ = try await client.createLease(
        LeaseRequest(name: name, nodeNames: Array(bench.nodeNames.prefix(nodes)), duration: "1h"))
      let before = try link.bytesReceived()
      let submitted = wallClock()
      let job = try await client.submit(
        file: "name: \(name)\nresources: {nodes: \(nodes)}\nlease: {use: \(name)}\ndata: [\(name)]\n"
          + "run: [bash, \(script), \(folder)]\n")
      let end = try await client.waitForEnd(of: job, within: .seconds(600))
      guard end.state == .completed else {
        throw BenchFailure("\(job) is \(end.state.rawValue): \(end.reasonDetail ?? end.reason)")
      }
      let bytes = try link.bytesReceived() - before
      _ = try await client.deleteLease(name)
      let started = try (0..<nodes).map { rank in
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(rank)")), as: UTF8.self)
        guard let time = Double(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
          throw BenchFailure("node \(rank) of \(job) says that it started at \(text)")
        }
        return time
      }
      return Run(seconds: (started.max() ?? 0) - submitted, share: Double(bytes) / Double(set.total))
    }
  }

  private func figures(_ runs: [Int: [Run]]) -> [Figure] {
    var figures: [Figure] = []
    let least = Double(size) / Double(rate)
    for count in sizes {
      let all = runs[count] ?? []
      figures.append(
        .median(
          "seconds_\(count)_nodes", all.map(\.seconds), "s",
          against: "the link alone takes \(Figure.text(least)) s for the set once, "
            + "\(Figure.text(least * Double(count))) s for each node its own"))
      figures.append(
        .median(
          "read_of_set_\(count)_nodes", all.map(\.share), "x", goal: .atMost(1.1), against: "packets' headers count"))
    }
    if let few = sizes.min(), let many = sizes.max(), few != many {
      let (first, last) = (runs[few]?.map(\.seconds).median, runs[many]?.map(\.seconds).median)
      figures.append(
        Figure(
          "seconds_\(many)_to_\(few)_nodes", first.flatMap { first in last.map { $0 / first } }, "x", goal: .atMost(1.2)
        ))
    }
    return figures
  }
}
