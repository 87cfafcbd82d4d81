/// Which images each step uses: every one once an epoch, in an order that only seed and epoch decide.
struct Sampler: Sendable {
  /// All there is to know to go on: an epoch's order is drawn anew from seed and epoch.
  struct State: Codable, Equatable, Sendable {
    /// Seed of the orders.
    var seed: UInt64
    /// The epoch under way, from 0.
    var epoch: Int
    /// How many images of this epoch were handed out.
    var position: Int
  }

  /// Where the sampler stands; the position is below `count` between calls.
  private(set) var state: State
  private let count: Int
  private let batch: Int
  private var order: [Int]

  /// Goes on from `state` over `count` images in global batches of `batch`.
  ///
  /// - Precondition: `count` and `batch` are at least 1 and the position lies in `0..<count`.
  init(_ state: State, count: Int, batch: Int) {
    precondition(count >= 1 && batch >= 1 && (0..<count).contains(state.position))
    self.state = state
    self.count = count
    self.batch = batch
    order = Self.order(state, count: count)
  }

  /// Hands out the next global batch: positions in the training part.
  ///
  /// An epoch's last may be smaller.
  mutating func next() -> ArraySlice<Int> {
    let end = min(state.position + batch, count)
    let images = order[state.position..<end]
    state.position = end
    if end == count {
      state.position = 0
      state.epoch += 1
      order = Self.order(state, count: count)
    }
    return images
  }

  /// Steps of a whole epoch.
  var stepsPerEpoch: Int {
    (count + batch - 1) / batch
  }

  /// The part of `items` that one rank of a world works on; parts differ by at most one in size.
  static func share(of items: ArraySlice<Int>, rank: Int, worldSize: Int) -> ArraySlice<Int> {
    let start = items.startIndex + items.count * rank / worldSize
    return items[start..<items.startIndex + items.count * (rank + 1) / worldSize]
  }

  /// Tells this epoch's order from others.
  var orderDigest: String {
    var fingerprint = Fingerprint()
    order.withUnsafeBytes { fingerprint.add($0) }
    return fingerprint.hex
  }

  private static func order(_ state: State, count: Int) -> [Int] {
    var generator = SplitMix64(seed: state.seed, purpose: .order, index: UInt64(state.epoch))
    return generator.permutation(of: count)
  }
}
