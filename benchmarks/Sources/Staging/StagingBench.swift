import ArgumentParser
import Domain
import Foundation
import ObjectStorage

/// `baton-bench staging`: from a store to one node's disk, beside the programs that people use for it.
struct StagingBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "staging",
    abstract: "Bring large, small and packed files from OpenStack Swift, by both its interfaces, beside four peers.")

  @Option(help: "How often each is measured.")
  var times = 5

  @Option(help: ArgumentHelp("Bytes of the one large object, in MiB.", valueName: "mebibytes"))
  var big = 1024

  @Option(help: "Among how many objects as much is divided for the second set; 0 leaves it out.")
  var parts = 4

  @Option(help: "Objects of 10 KiB; 0 leaves them out.")
  var small = 10_000

  @Option(help: "Files of 10 KiB in the packed set; 0 leaves it out.")
  var packedFiles = 600_000

  @Option(help: "How often the packed set is staged.")
  var packedTimes = 3

  @Option(parsing: .upToNextOption, help: "Only these contestants, as in baton_swift.")
  var only: [String] = []

  @Option(
    help: ArgumentHelp("Where files are brought: a disk, or a tmpfs. (default: as --scratch)", valueName: "folder"))
  var target: String?

  @OptionGroup var options: BenchOptions

  static let smallSize = 10 << 10
  private static let container = "bench-staging"

  func validate() throws {
    guard times > 0, packedTimes > 0, big >= 0, parts >= 0, small >= 0, packedFiles >= 0 else {
      throw ValidationError("--times and --packed-times are at least 1, and no number is below 0")
    }
  }

  func run() async throws {
    let progress = Progress("staging")
    let scratch = options.scratchFolder("staging")
    try FileManager.default.createDirectory(atPath: scratch, withIntermediateDirectories: true)
    let outcome: Result<Void, any Error>
    do {
      outcome = .success(try await ObjectServers.with { try await measure($0, scratch, progress) })
    } catch {
      outcome = .failure(error)
    }
    try FileManager.default.removeItem(atPath: scratch)
    try outcome.get()
  }

  /// What was measured is written after every set: whatever ends the bench later takes nothing of it.
  private func measure(_ servers: ObjectServers, _ scratch: String, _ progress: Progress) async throws {
    let target = target.map { BenchOptions.absolute($0) } ?? scratch
    let writer = SetWriter(store: try await servers.container(Self.container), progress: progress)
    let baton = BatonStage(
      agent: "\(options.nodeBinFolder)/baton-agent", servers: servers, container: Self.container, scratch: scratch,
      target: target)
    let peers = Peers(
      programs: ObjectServers.Programs(), door: servers.door, container: Self.container, target: target)
    let race = Race(servers: servers, scratch: scratch, progress: progress, only: only)
    var result = BenchResult(name: "staging", machine: Machine.text(options), figures: [])
    func add(_ figures: [Figure]) throws {
      result.machine = Machine.text(options)
      result.figures += figures
      try result.write(to: options.results)
    }
    var large: [SyntheticSet] = []
    if big > 0 { large.append(SyntheticSet(name: "big", count: 1, size: big << 20)) }
    if big > 0, parts > 0 { large.append(SyntheticSet(name: "many-big", count: parts, size: (big << 20) / parts)) }
    for set in large {
      let version = try await writer.plain(set)
      let entrants = try await doors(baton, set, version) + peers.all(set)
      try await race.run(set, entrants, times) { try add($0.figures(speedup: nil)) }
    }
    if small > 0 {
      let set = SyntheticSet(name: "small", count: small, size: Self.smallSize)
      let version = try await writer.plain(set)
      let packed = try await writer.packed(set, scratch: scratch)
      let entrants = try await doors(baton, set, version) + doors(baton, set, packed) + peers.all(set)
      try await race.run(set, entrants, times) { try add($0.figures(speedup: 1.5)) }
    }
    if packedFiles > 0 {
      let set = SyntheticSet(name: "packed", count: packedFiles, size: Self.smallSize)
      let version = try await writer.packed(set, scratch: scratch)
      let entrant = try await baton.contestant(set, version, .swift)
      try await race.run(set, [entrant], packedTimes) { try add($0.packedFigures()) }
    }
    try result.publish(to: options.results)
  }

  private func doors(
    _ baton: BatonStage, _ set: SyntheticSet, _ version: SetWriter.Version
  ) async throws -> [Contestant] {
    [try await baton.contestant(set, version, .swift), try await baton.contestant(set, version, .s3)]
  }
}
