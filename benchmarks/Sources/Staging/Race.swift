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
  /// What disturbs the machine then disturbs all; no round begins with the same one.
  func run(_ set: SyntheticSet, _ entrants: [Contestant], _ times: Int) async throws -> Outcome {
    let entrants = entrants.filter { only.isEmpty || only.contains($0.name) }
    for one in entrants { progress.say("\(set.name), \(one.name): \(one.shown)") }
    var runs: [String: [Measured]] = [:]
    for round in 0...times {
      for turn in entrants.indices {
        let one = entrants[(turn + round) % entrants.count]
        // The first round fills the servers' caches; a set that takes minutes has none to fill.
        if round == 0, set.total > 4 << 30 { continue }
        let measured = try await measure(set, one)
        progress.say(
          "\(set.name), \(round == 0 ? "warming up" : "round \(round)"), \(one.name): "
            + "\(Figure.text(measured.seconds)) s, \(measured.work)")
        if round > 0 { runs[one.name, default: []].append(measured) }
      }
    }
    return Outcome(set: set, entrants: entrants, runs: runs)
  }

  private func measure(_ set: SyntheticSet, _ one: Contestant) async throws -> Measured {
    if FileManager.default.fileExists(atPath: one.folder) { try FileManager.default.removeItem(atPath: one.folder) }
    try FileManager.default.createDirectory(atPath: one.folder, withIntermediateDirectories: true)
    await Measured.settle()
    let before = servers.processorSeconds
    var measured = try await Measured.run(
      one.command, environment: one.environment, input: one.input, output: "\(scratch)/said.txt")
    measured.serverSeconds = servers.processorSeconds - before
    try check(set, one)
    try FileManager.default.removeItem(atPath: one.folder)
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
      + "peak \(Figure.text((peakBytes / 1_048_576).rounded())) MiB"
  }
}

extension Race.Outcome {
  private func seconds(_ name: String) -> [Double] { (runs[name] ?? []).map(\.seconds) }

  private func figure(_ one: Contestant) -> Figure {
    let all = runs[one.name] ?? []
    let middle = Measured(
      status: 0, seconds: 0, cpuSeconds: all.map(\.cpuSeconds).median ?? 0,
      peakBytes: all.map(\.peakBytes).median ?? 0, serverSeconds: all.map(\.serverSeconds).median ?? 0)
    return .median(
      "\(set.name)_\(one.name)", seconds(one.name), "s",
      against: one.name.hasPrefix("baton") ? middle.work : "\(middle.work); \(one.shown)")
  }

  /// One figure each, and Baton's ratios to the fastest peer: time over time, at most 1; or with `least` how many times
  /// faster, at least that.
  func figures(comparingBigWith least: Double?) -> [Figure] {
    let peers = entrants.filter { !$0.name.hasPrefix("baton") }
    func ratio(_ name: String, _ ours: [Contestant], _ theirs: [Contestant]) -> Figure? {
      func fastest(_ some: [Contestant]) -> (name: String, seconds: Double)? {
        some.compactMap { one in seconds(one.name).median.map { (one.name, $0) } }.min { $0.1 < $1.1 }
      }
      guard let our = fastest(ours), let their = fastest(theirs) else { return nil }
      let against = "\(our.name) \(Figure.text(our.seconds)) s, \(their.name) \(Figure.text(their.seconds)) s"
      guard let least else {
        return Figure(
          "\(set.name)_\(name)_ratio", our.seconds / their.seconds, "x", goal: .atMost(1), against: against)
      }
      return Figure(
        "\(set.name)_\(name)_speedup", their.seconds / our.seconds, "x", goal: .atLeast(least), against: against)
    }
    let plain = entrants.filter { $0.name.hasPrefix("baton") && !$0.name.hasSuffix("_packed") }
    let packed = entrants.filter { $0.name.hasSuffix("_packed") }
    let byDoor = Door.allCases.map { door in
      ratio(door.rawValue, plain.filter { $0.door == door }, peers.filter { $0.door == door })
    }
    let ratios = byDoor + [ratio("overall", plain, peers), ratio("packed", packed, peers)]
    return entrants.map(figure) + ratios.compactMap { $0 }
  }

  /// The time of a packed set, and its files and bytes a second.
  func packedFigures() -> [Figure] {
    entrants.flatMap { one in
      let all = seconds(one.name)
      var whole = figure(one)
      whole.goal = set.count >= 600_000 ? .below(120) : nil
      return [
        whole, .median("\(set.name)_files_per_second", all.map { Double(set.count) / $0 }, "1/s"),
        .median("\(set.name)_mebibytes_per_second", all.map { Double(set.total) / 1_048_576 / $0 }, "MiB/s"),
      ]
    }
  }
}
