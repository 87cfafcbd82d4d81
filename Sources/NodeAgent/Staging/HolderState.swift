import Domain

/// Nodes beside a gang that hold all of what a transfer brings; they are numbered from where the gang ends.
struct TransferHolders: Hashable, Sendable {
  var ranks: [Int] = []
  /// Bytes a second that they have to give together: with less, the store is asked for what is left.
  var least: ByteCount = .zero

  /// Nobody.
  static let none = TransferHolders()
}

/// Which holder is asked next, and when they are done without: a value of `TransferState`; time is an argument.
struct HolderState: Sendable {
  private struct Holder {
    var flying = 0
    var strikes = 0
    var isUsable = true
  }

  /// Pieces that have to come before anybody can be called slow.
  private static let piecesInAWindow = 4

  private var holders: [Int: Holder]
  private let lanes: Int
  private let strikes: Int
  private let least: Double
  /// How long what came is added up before it is judged.
  private let window: TimeSpan
  /// One piece is on its way at the end of every window.
  private let allowance: Int64
  private var windowBegan: TimeSpan?
  private var cameInWindow: Int64 = 0

  /// `holders`, whom each of `count` nodes asks for its share; no piece is longer than `longestPiece`.
  init(_ holders: TransferHolders, count: Int, longestPiece: Int, _ limits: TransferState.Limits) {
    self.holders = Dictionary(holders.ranks.map { ($0, Holder()) }) { first, _ in first }
    lanes = max(1, min(limits.holderLanes, limits.gangHolderLanes / max(1, count)))
    strikes = limits.strikes
    least = Double(holders.least.bytes)
    allowance = Int64(longestPiece)
    let enough = least > 0 ? TimeSpan.seconds(Double(Self.piecesInAWindow * longestPiece) / least) : .zero
    window = max(limits.grace, enough)
  }

  /// Whether somebody can be asked.
  var isUsable: Bool { holders.values.contains(where: \.isUsable) }

  /// Pieces that were asked for.
  var flying: Int { holders.values.reduce(0) { $0 + $1.flying } }

  /// How long one may take to send a piece, when each has as many to send as it may: beyond that they are too slow together.
  var sendLimit: TimeSpan { .seconds(window.seconds * Double(max(1, holders.count))) }

  /// Whether this is the number of a holder, usable or not.
  func contains(_ rank: Int) -> Bool { holders[rank] != nil }

  /// Whether this holder may be asked.
  func isUsable(_ rank: Int) -> Bool { holders[rank]?.isUsable == true }

  /// Who is asked for the next piece: who has least to do; nil where all have enough, or nobody is left.
  func next() -> Int? {
    holders.filter { $0.value.isUsable && $0.value.flying < lanes }
      .min { ($0.value.flying, $0.key) < ($1.value.flying, $1.key) }?.key
  }

  /// It is asked for a piece.
  mutating func asked(_ rank: Int, at now: TimeSpan) {
    holders[rank]?.flying += 1
    if windowBegan == nil { windowBegan = now }
  }

  /// A piece came.
  mutating func gave(_ rank: Int, bytes: Int) {
    holders[rank]?.flying -= 1
    holders[rank]?.strikes = 0
    cameInWindow += Int64(bytes)
  }

  /// A piece did not come; who fails again and again is asked nothing more.
  mutating func failed(_ rank: Int, _ failure: TransferState.PeerFailure) {
    holders[rank]?.flying -= 1
    switch failure {
    // It makes itself ready, and the window says how long it may.
    case .notYet: break
    case .gone:
      holders[rank]?.strikes += 1
      if let holder = holders[rank], holder.strikes >= strikes { giveUp(on: rank) }
    case .lied: giveUp(on: rank)
    }
  }

  /// Asks it nothing more.
  mutating func giveUp(on rank: Int) { holders[rank]?.isUsable = false }

  /// Gives all of them up where they gave too little lately.
  mutating func judge(at now: TimeSpan) {
    guard isUsable, let began = windowBegan, now - began >= window else { return }
    if Double(cameInWindow + allowance) < least * (now - began).seconds {
      for rank in holders.keys { giveUp(on: rank) }
    }
    windowBegan = now
    cameInWindow = 0
  }
}
