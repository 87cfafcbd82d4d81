import Foundation

/// Contestants that bring the same set, in turn.
struct Race: Sendable {
  let servers: ObjectServers
  let scratch: String
  let progress: Progress
  /// Names of those that take part; empty for all.
  let only: [String]

  /// Every run of a set.
  struct Outcome: Sendable {
    var set: SyntheticSet
    var entrants: [Contestant]
    var runs: [String: [Measured]]
  }

  /// Lets each bring `set` so many `times`, one after the other in every round, after a round that does not count.
  ///
  /// What disturbs the machine then disturbs all; no round begins with the same one. `isOver` is told the outcome before
  /// anything is cleaned up, which can take longer than the rounds did.
  func run(
    _ set: SyntheticSet, _ entrants: [Contestant], _ times: Int, isOver: (Outcome) throws -> Void
  ) async throws {
    let entrants = entrants.filter { only.isEmpty || only.contains($0.name) }
    for one in entrants { progress.say("\(set.name), \(one.name): \(one.shown)") }
    var runs: [String: [Measured]] = [:]
    var kept: [String] = []
    for round in 0...times {
      for turn in entrants.indices {
        let one = entrants[(turn + round) % entrants.count]
        // The first round fills the servers' caches; a set that takes minutes has none to fill.
        if round == 0, set.total > 4 << 30 { continue }
        let measured = try await measure(set, one)
        try putAside(set, one, &kept)
        progress.say(
          "\(set.name), \(round == 0 ? "warming up" : "round \(round)"), \(one.name): "
            + "\(Figure.text(measured.seconds)) s, \(measured.work)")
        if round > 0 { runs[one.name, default: []].append(measured) }
      }
    }
    try isOver(Outcome(set: set, entrants: entrants, runs: runs))
    for folder in kept { try FileManager.default.removeItem(atPath: folder) }
  }

  /// Takes away what a run brought; many files stay until the set is over.
  ///
  /// ext4 without a journal searches long for inodes while many were deleted within the last half minute.
  private func putAside(_ set: SyntheticSet, _ one: Contestant, _ kept: inout [String]) throws {
    guard set.count > 1000 else { return try FileManager.default.removeItem(atPath: one.folder) }
    let aside = "\(one.folder)-\(kept.count)"
    try FileManager.default.moveItem(atPath: one.folder, toPath: aside)
    kept.append(aside)
  }

  private func measure(_ set: SyntheticSet, _ one: Contestant) async throws -> Measured {
    if FileManager.default.fileExists(atPath: one.folder) { try FileManager.default.removeItem(atPath: one.folder) }
    try FileManager.default.createDirectory(atPath: one.folder, withIntermediateDirectories: true)
    await Measured.settle()
    let before = servers.processorSeconds
    var measured = try await Measured.run(
      one.command, environment: one.environment, input: one.input, output: "\(scratch)/said.txt")
    measured.serverSeconds = servers.processorSeconds - before
    measured.flushSeconds = await timed { await Measured.settle() }
    try check(set, one)
    return measured
  }

  /// Whether all files are there in their length.
  private func check(_ set: SyntheticSet, _ one: Contestant) throws {
    let folder = one.folder + (one.below.map { "/\($0)" } ?? "")
    for index in 0..<set.count {
      let attributes = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(set.path(index))")
      guard (attributes[.size] as? NSNumber)?.intValue == set.size else {
        throw BenchFailure("\(one.name) left \(set.path(index)) in another length")
      }
    }
  }
}

extension Measured {
  /// What it cost, for people.
  var work: String {
    "CPU \(Figure.text(cpuSeconds)) s and \(Figure.text(serverSeconds)) s of the servers, "
      + "peak \(Figure.text((peakBytes / 1_048_576).rounded())) MiB, on the disk \(Figure.text(flushSeconds)) s later"
  }

  /// The middle of each value.
  static func median(_ all: [Measured]) -> Measured {
    var middle = Measured(
      status: 0, seconds: all.map(\.seconds).median ?? 0, cpuSeconds: all.map(\.cpuSeconds).median ?? 0,
      peakBytes: all.map(\.peakBytes).median ?? 0)
    middle.serverSeconds = all.map(\.serverSeconds).median ?? 0
    middle.flushSeconds = all.map(\.flushSeconds).median ?? 0
    return middle
  }
}

extension Race.Outcome {
  private func figure(_ one: Contestant) -> Figure {
    let all = runs[one.name] ?? []
    let work = Measured.median(all).work
    return .median(
      "\(set.name)_\(one.name)", all.map(\.seconds), "s", against: one.isBaton ? work : "\(work); \(one.shown)")
  }

  /// One figure each, and Baton's ratios to the fastest peer.
  ///
  /// - Parameter speedup: nil for time over time, which is to be at most 1; else how many times faster it is to be.
  func figures(speedup: Double?) -> [Figure] {
    let peers = entrants.filter { !$0.isBaton }
    let plain = entrants.filter { $0.isBaton && !$0.isPacked }
    let packed = entrants.filter(\.isPacked)
    func ratio(
      _ name: String, _ ours: [Contestant], _ theirs: [Contestant], _ value: (Measured) -> Double = { $0.seconds }
    ) -> Figure? {
      func fastest(_ some: [Contestant]) -> (name: String, seconds: Double)? {
        some.compactMap { one in (runs[one.name] ?? []).map(value).median.map { (one.name, $0) } }.min { $0.1 < $1.1 }
      }
      guard let our = fastest(ours), let their = fastest(theirs) else { return nil }
      let against = "\(our.name) \(Figure.text(our.seconds)) s, \(their.name) \(Figure.text(their.seconds)) s"
      guard let speedup else {
        let value = our.seconds / their.seconds
        return Figure("\(set.name)_\(name)_ratio", value, "x", goal: .atMost(1), against: against)
      }
      let value = their.seconds / our.seconds
      return Figure("\(set.name)_\(name)_speedup", value, "x", goal: .atLeast(speedup), against: against)
    }
    let byDoor = Door.allCases.map { door in
      ratio(door.rawValue, plain.filter { $0.door == door }, peers.filter { $0.door == door })
    }
    let ratios =
      byDoor + [
        ratio("overall", plain, peers), ratio("durable", plain, peers) { $0.durableSeconds },
        ratio("packed", packed, peers),
      ]
    return entrants.map(figure) + ratios.compactMap { $0 }
  }

  /// The time of a packed set, and its files and bytes a second.
  func packedFigures() -> [Figure] {
    entrants.flatMap { one in
      let all = (runs[one.name] ?? []).map(\.seconds)
      var whole = figure(one)
      whole.goal = set.count >= 600_000 ? .below(120) : nil
      return [
        whole, .median("\(set.name)_files_per_second", all.map { Double(set.count) / $0 }, "1/s"),
        .median("\(set.name)_mebibytes_per_second", all.map { Double(set.total) / 1_048_576 / $0 }, "MiB/s"),
      ]
    }
  }
}
