public import Domain
import Glibc

/// Lease ends in virtual time: runs that save, upload and learn, and then have to be through.
///
/// The rule and the pace are the agent's own; disks, networks and their jitter are made up, and told by the seed.
public struct LeaseEndSimulation: Sendable {
  /// What became of one lease.
  public struct Ending: Sendable {
    /// From the last checkpoint being durable to the end of the lease; negative where it came too late.
    public var spare: TimeSpan
    /// How long before the end the save began.
    public var lead: TimeSpan
    /// Of the uploads before, how many were not through after half of the interval, as they should.
    public var uploadsLate: Int
  }

  private struct Chance {
    var state: UInt64

    /// SplitMix64, as a number from 0 to 1.
    mutating func next() -> Double {
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
      return Double((mixed ^ (mixed >> 31)) >> 11) / 0x1p53
    }

    mutating func between(_ least: Double, _ most: Double) -> Double { least + (most - least) * next() }
  }

  /// Uploads that take longer than jitter explains: a store under load, a link that was rerouted.
  public struct Tail: Sendable {
    /// One upload in so many; 0 is none.
    public var oneIn: Int
    /// How many times as long it takes.
    public var factor: Double

    /// A tail.
    public init(oneIn: Int, factor: Double) {
      self.oneIn = oneIn
      self.factor = factor
    }
  }

  private var chance: Chance
  private let tail: Tail

  /// One series of leases.
  public init(seed: UInt64, tail: Tail = Tail(oneIn: 50, factor: 2)) {
    chance = Chance(state: seed)
    self.tail = tail
  }

  /// One lease: 4 to 40 saves, then its end.
  ///
  /// Sizes are from 100 MiB to 20 GiB and grow by up to a half in one of four runs; networks from 60 MiB/s to 1 GiB/s.
  /// Around their mean the save varies by a tenth, and the upload by a fifth either way, but for the
  /// tail's.
  public mutating func run() -> Ending {
    let size = 100 * 1_048_576 * pow(200, chance.next())
    let growth = chance.next() < 0.25 ? chance.between(0, 0.5) : 0
    let network = 60 * 1_048_576 * pow(17, chance.next())
    let disk = chance.between(0.5, 3) * 1_073_741_824
    let interval = chance.between(60, 1200)
    let saves = Int(chance.between(4, 40))
    var rule = LastSave(assumed: .seconds(10), grace: .seconds(600), interval: .seconds(interval))
    var late = 0
    for index in 0..<saves {
      let bytes = size * (1 + growth * Double(index) / Double(saves))
      let (save, upload) = cost(bytes, disk, network)
      let amount = ByteCount(Int64(bytes))
      rule.expects(amount)
      // One chunk's own time may come on top, where the network is hardly faster than the pace.
      if throttled(bytes, upload, interval) > max(interval / 2, upload) * 1.1 { late += 1 }
      rule.measured(save: .seconds(save), upload: .seconds(upload), bytes: amount)
    }
    let lead = rule.lead
    let (save, upload) = cost(size * (1 + growth), disk, network)
    return Ending(spare: lead - .seconds(save + upload), lead: lead, uploadsLate: late)
  }

  /// The time that a save takes, and hash, upload and commit after it, without pauses.
  private mutating func cost(_ bytes: Double, _ disk: Double, _ network: Double) -> (save: Double, upload: Double) {
    let save = (0.2 + bytes / disk) * chance.between(0.9, 1.1)
    // Hashing goes on beside the sending; what is sent is read back.
    let upload = 0.1 + 2 * bytes / network * chance.between(0.8, 1.2) * outlier()
    return (save, upload)
  }

  private mutating func outlier() -> Double {
    tail.oneIn > 0 && chance.next() * Double(tail.oneIn) < 1 ? tail.factor : 1
  }

  /// How long an upload takes that sends chunk by chunk at its pace.
  private func throttled(_ bytes: Double, _ upload: Double, _ interval: Double) -> Double {
    let chunk = 67_108_864.0
    var pace = UploadPace(total: ByteCount(Int64(bytes)), interval: .seconds(interval), begun: .zero)
    var (now, left) = (0.0, bytes)
    while left > 0 {
      now += max(0, pace.pause(at: .seconds(now)).seconds)
      let part = min(chunk, left)
      pace.sends(Int64(part))
      now += upload * part / bytes
      left -= part
    }
    return now
  }
}
