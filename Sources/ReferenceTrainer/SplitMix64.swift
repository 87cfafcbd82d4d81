/// The one source of chance in a run: Steele, Lea and Flood's SplitMix64 (OOPSLA 2014).
///
/// Eight bytes of state, the same numbers on every machine, and cheap to start anew per purpose.
struct SplitMix64: RandomNumberGenerator, Equatable, Sendable {
  private var state: UInt64

  /// Starts the stream of `seed`.
  init(seed: UInt64) {
    state = seed
  }

  /// Starts a stream for one purpose of a run, so that drawing more in one never shifts another.
  init(seed: UInt64, purpose: Purpose, index: UInt64 = 0) {
    var mixer = SplitMix64(seed: seed)
    let first = mixer.next()
    mixer = SplitMix64(seed: first ^ (purpose.rawValue &* 0xD6E8_FEB8_6659_FD93))
    let second = mixer.next()
    self.init(seed: second &+ index &* 0xA076_1D64_78BD_642F)
  }

  /// What a stream is used for.
  enum Purpose: UInt64 {
    case weights = 1
    case order = 2
    case split = 3
    case shift = 4
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// A float in [0, 1) with 24 random bits; exact, so the same on every machine.
  mutating func nextUnit() -> Float {
    Float(next() >> 40) * 0x1p-24
  }

  /// A number in `0..<bound`, unbiased (Lemire's multiply and reject).
  mutating func next(below bound: Int) -> Int {
    let range = UInt64(bound)
    let reject = (0 &- range) % range
    while true {
      let (high, low) = next().multipliedFullWidth(by: range)
      if low >= reject { return Int(high) }
    }
  }

  /// The numbers `0..<count` in a random order (Fisher and Yates).
  ///
  /// Written here because the standard library does not promise to keep its own algorithm.
  mutating func permutation(of count: Int) -> [Int] {
    var order = Array(0..<count)
    var last = count - 1
    while last > 0 {
      order.swapAt(last, next(below: last + 1))
      last -= 1
    }
    return order
  }
}
