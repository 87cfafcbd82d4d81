import Domain
import ObjectStorage

/// What a transfer does next: a value that hears what happened and says what to begin; time is an argument.
struct TransferState: Sendable {
  private enum PieceState { case todo, flying, written, finished }

  private struct Peer {
    /// Pieces that it brings from the store, in order.
    var pieces: [Int] = []
    var cursor = 0
    var flying = 0
    var strikes = 0
    var isUsable = true
  }

  /// A file that is hashed piece by piece.
  struct Hashing: Sendable {
    var hash: ChecksumHash?
    /// Pieces that are in it.
    var done = 0
    var isBusy = false
    /// Whether it was wrong once, with no peer to blame.
    var wasWrong = false
  }

  let plan: TransferPlan
  let limits: Limits
  private var pieces: [PieceState]
  private var unfinished: Int
  private(set) var verified: Set<Int>
  /// What this node brings from the store for all.
  private var own: [Int] = []
  /// What of its share it asks holders for instead, as long as there are any; what failed is at the end again.
  private var held: [Int] = []
  private var heldCursor = 0
  private var holders: HolderState
  /// Those of this node's share that did not come yet.
  private var ownMissing: Set<Int> = []
  private var ownCursor = 0
  private var fallback: [Int] = []
  private var fallbackCursor = 0
  private var peers: [Int: Peer] = [:]
  private var arePeersKnown = false
  private var peersSince = TimeSpan.zero
  private var storeFlying = 0
  /// Pieces after which their request brings more.
  private var goesOn: Set<Int> = []
  /// Pieces that came from the store or from holders, and when the last of them did.
  private var ownDone = 0
  private var ownDoneAt = TimeSpan.zero
  private var waitingForFlush: [Int] = []
  private var isFlushing = false
  private var hashing: [Int: Hashing] = [:]
  /// Files that may have finished pieces which are not hashed.
  private var readyToHash: [Int] = []
  private var hashesFlying = 0
  /// Who gave a piece, until the files in it are verified.
  private var givers: [Int: Int] = [:]
  /// Those of them that the giver had from somebody else, whom this node does not know.
  private var secondHand: Set<Int> = []
  /// Pieces that come again, and who gave them before.
  private var suspects: [Int: Int] = [:]
  private var smallWasWrong: Set<Int> = []

  /// A transfer of `plan` of which some is there; node `rank` of `count` brings its share from the store.
  ///
  /// With a `count` of 1 all is its share. Where there are `holders` they are asked for the share before the store is, but
  /// for what no checksum proves. What is `finished` was flushed, and small files in it were verified.
  init(
    _ plan: TransferPlan, finished: Set<Int> = [], verified: Set<Int> = [], rank: Int = 0, count: Int = 1,
    holders: TransferHolders = .none, limits: Limits = Limits()
  ) {
    self.plan = plan
    self.limits = limits
    self.holders = HolderState(
      holders, count: count, longestPiece: plan.pieces.map(\.bytes).max() ?? 0, limits)
    self.verified = verified.union(plan.files.indices.filter { plan.files[$0].size == 0 })
    pieces = Array(repeating: .todo, count: plan.pieces.count)
    unfinished = plan.pieces.count
    for other in 0..<count where other != rank { peers[other] = Peer() }
    for index in plan.pieces.indices {
      if finished.contains(index) || plan.pieces[index].fragments.allSatisfy({ self.verified.contains($0.file) }) {
        pieces[index] = .finished
        unfinished -= 1
      } else if index % count == rank {
        if self.holders.isUsable, plan.isProvable(index) { held.append(index) } else { own.append(index) }
      } else {
        peers[index % count]?.pieces.append(index)
      }
    }
    ownMissing = Set(own + held)
    for index in plan.files.indices where !self.verified.contains(index) {
      if isHashedInPieces(index) {
        hashing[index] = Hashing(hash: plan.files[index].checksum.flatMap(ChecksumHash.init))
        readyToHash.append(index)
      } else if plan.piecesOfFile[index].allSatisfy({ pieces[$0] == .finished }) {
        // A file of one piece was verified with it.
        self.verified.insert(index)
      }
    }
  }

  /// Whether a file is more than its piece, so that it is hashed as its pieces come.
  func isHashedInPieces(_ file: Int) -> Bool { plan.piecesOfFile[file].count > 1 && plan.files[file].checksum != nil }

  /// Whether all is there, flushed, noted and hashed.
  var isDone: Bool { unfinished == 0 && verified.count == plan.files.count && !isFlushing }

  /// Whether a peer's or a holder's doing, or the patience with one, may change what is next.
  var waitsForPeers: Bool {
    heldCursor < held.count || peers.contains { $0.value.isUsable && $0.value.cursor < $0.value.pieces.count }
  }

  /// Bytes that are there at the beginning.
  var bytesFinished: Int64 {
    plan.pieces.indices.reduce(0) { $0 + (pieces[$1] == .finished ? Int64(plan.pieces[$1].bytes) : 0) }
  }

  /// Pieces whose bytes can be read and were not found wrong.
  var served: [Int] { plan.pieces.indices.filter { pieces[$0] == .finished } }

  /// Positions of the fragments of `piece` that still have to come.
  func wanted(_ piece: Int) -> [Int] {
    plan.pieces[piece].fragments.indices.filter { !verified.contains(plan.pieces[piece].fragments[$0].file) }
  }

  // MARK: What to begin

  /// All that can begin at `now`, since the start of the transfer.
  mutating func next(at now: TimeSpan) -> [Work] {
    var work: [Work] = []
    if !isFlushing, !waitingForFlush.isEmpty {
      isFlushing = true
      work.append(.flush(waitingForFlush))
      waitingForFlush = []
    }
    nextHashes(&work)
    nextFromHolders(&work, at: now)
    nextFromPeers(&work)
    while storeFlying < storeLanes(at: now), let piece = nextForStore(at: now) {
      pieces[piece] = .flying
      storeFlying += 1
      let run = takeRun(after: piece)
      work.append(run.count > 1 ? .run(run) : .store(piece: piece, comparing: suspects[piece] != nil))
    }
    return work
  }

  /// How many requests to the store may be under way: fewer while others bring the rest.
  private func storeLanes(at now: TimeSpan) -> Int {
    guard peers.contains(where: \.value.isUsable), !doesWithoutPeers(at: now) else { return limits.storeLanes }
    return max(1, min(limits.storeLanes, limits.gangLanes / (peers.count + 1)))
  }

  /// Whether nobody said for too long where the peers are.
  ///
  /// What a node does itself first is not waiting.
  private func doesWithoutPeers(at now: TimeSpan) -> Bool {
    !arePeersKnown && now >= limits.patience && ownMissing.isEmpty
  }

  /// The piece and those of this node's share that follow it in its object; fewer where there would not be enough to
  /// do for all lanes.
  private mutating func takeRun(after first: Int) -> [Int] {
    var run = [first]
    guard suspects[first] == nil, plan.isPartOfLarge(first) else { return run }
    let longest = min(limits.longestRun, (own.count - ownCursor) / (2 * limits.storeLanes))
    while run.count < longest, ownCursor < own.count {
      let (last, next) = (plan.pieces[run[run.count - 1]].fragments[0], own[ownCursor])
      guard pieces[next] == .todo, suspects[next] == nil, plan.isPartOfLarge(next),
        plan.pieces[next].fragments[0].follows(last)
      else { break }
      ownCursor += 1
      pieces[next] = .flying
      goesOn.insert(run[run.count - 1])
      run.append(next)
    }
    return run
  }

  private mutating func nextHashes(_ work: inout [Work]) {
    while hashesFlying < limits.hashLanes, let file = readyToHash.popLast() {
      guard let state = hashing[file], !state.isBusy else { continue }
      // A few at a time, so that other files have their turn.
      let ready = plan.piecesOfFile[file][state.done...].prefix(4).prefix { pieces[$0] == .finished }
      guard !ready.isEmpty else { continue }
      hashing[file]?.isBusy = true
      hashesFlying += 1
      work.append(.hash(file: file, pieces: Array(ready)))
    }
  }

  private mutating func nextFromHolders(_ work: inout [Work], at now: TimeSpan) {
    holders.judge(at: now)
    releaseHeld()
    while heldCursor < held.count, let rank = holders.next() {
      let piece = held[heldCursor]
      heldCursor += 1
      guard pieces[piece] == .todo else { continue }
      pieces[piece] = .flying
      holders.asked(rank, at: now)
      work.append(.peer(piece: piece, rank: rank))
    }
  }

  /// What nobody holds any more comes from the store.
  private mutating func releaseHeld() {
    guard heldCursor < held.count, !holders.isUsable else { return }
    own += held[heldCursor...]
    heldCursor = held.count
  }

  private mutating func nextFromPeers(_ work: inout [Work]) {
    guard arePeersKnown else { return }
    for rank in peers.keys.sorted() {
      while let peer = peers[rank], peer.isUsable, peer.flying < limits.peerLanes, let piece = takeNext(of: rank) {
        pieces[piece] = .flying
        peers[rank]?.flying += 1
        work.append(.peer(piece: piece, rank: rank))
      }
    }
  }

  private mutating func takeNext(of rank: Int) -> Int? {
    while let peer = peers[rank], peer.cursor < peer.pieces.count {
      peers[rank]?.cursor += 1
      if pieces[peer.pieces[peer.cursor]] == .todo { return peer.pieces[peer.cursor] }
    }
    return nil
  }

  private mutating func nextForStore(at now: TimeSpan) -> Int? {
    while ownCursor < own.count {
      ownCursor += 1
      if pieces[own[ownCursor - 1]] == .todo { return own[ownCursor - 1] }
    }
    while fallbackCursor < fallback.count {
      fallbackCursor += 1
      if pieces[fallback[fallbackCursor - 1]] == .todo { return fallback[fallbackCursor - 1] }
    }
    // Nobody said where the peers are: their share is brought, but from its far end, should they still be heard of.
    guard doesWithoutPeers(at: now) else { return nil }
    for rank in peers.keys.sorted() {
      while let last = peers[rank]?.pieces.last, (peers[rank]?.cursor ?? 0) < (peers[rank]?.pieces.count ?? 0) {
        peers[rank]?.pieces.removeLast()
        if pieces[last] == .todo { return last }
      }
    }
    return nil
  }

  // MARK: What happened

  /// It is known which peers serve.
  mutating func peersAreKnown(_ serving: Set<Int>, at now: TimeSpan) {
    guard !arePeersKnown else { return }
    arePeersKnown = true
    peersSince = now
    for rank in peers.keys where !serving.contains(rank) { giveUp(on: rank) }
  }

  /// A piece was written, and the small files in it that are `right` were verified; `wrong` ones came from the store.
  ///
  /// What is second-hand its giver had from somebody else. Returns a file that was wrong twice.
  mutating func written(
    _ piece: Int, from rank: Int?, isSecondHand: Bool = false, right: [Int], wrong: [Int], at now: TimeSpan
  ) -> Int? {
    landed(piece, rank, at: now)
    verified.formUnion(right)
    for file in wrong where !smallWasWrong.insert(file).inserted { return file }
    if !wrong.isEmpty {
      pieces[piece] = .todo
      fallback.append(piece)
      return nil
    }
    if let rank {
      givers[piece] = rank
      if isSecondHand { secondHand.insert(piece) }
    }
    pieces[piece] = .written
    waitingForFlush.append(piece)
    return nil
  }

  private mutating func landed(_ piece: Int, _ rank: Int?, at now: TimeSpan) {
    if let rank, !holders.contains(rank) {
      peers[rank]?.flying -= 1
      peers[rank]?.strikes = 0
      return
    }
    if let rank {
      holders.gave(rank, bytes: plan.pieces[piece].bytes)
    } else if goesOn.remove(piece) == nil {
      storeFlying -= 1
    }
    ownMissing.remove(piece)
    ownDone += 1
    ownDoneAt = now
  }

  /// A peer gave no piece; true where it is the first time that it is found to lie.
  mutating func failed(_ piece: Int, from rank: Int, _ failure: PeerFailure, at now: TimeSpan) -> Bool {
    pieces[piece] = .todo
    if holders.contains(rank) { return failed(piece, fromHolder: rank, failure) }
    peers[rank]?.flying -= 1
    switch failure {
    case .notYet where !isOverdue(piece, of: rank, at: now):
      guard let peer = peers[rank], peer.isUsable else { break }
      // It is the next again.
      peers[rank]?.pieces.insert(piece, at: peer.cursor)
      return false
    case .notYet, .gone:
      peers[rank]?.strikes += 1
      if let peer = peers[rank], peer.strikes >= limits.strikes { giveUp(on: rank) }
    case .lied:
      fallback.append(piece)
      return distrust(rank)
    }
    bringElsewhere([piece])
    return false
  }

  private mutating func failed(_ piece: Int, fromHolder rank: Int, _ failure: PeerFailure) -> Bool {
    let wasUsable = holders.isUsable(rank)
    holders.failed(rank, failure)
    if case .lied = failure {
      fallback.append(piece)
      return wasUsable
    }
    // Another one may have it, or the same the next time.
    bringElsewhere([piece])
    return false
  }

  /// What did not come from where it was asked for comes from holders, or else from the store.
  private mutating func bringElsewhere(_ some: some Collection<Int>) {
    for piece in some {
      if holders.isUsable, plan.isProvable(piece) { held.append(piece) } else { fallback.append(piece) }
    }
  }

  /// A peer is as fast as this node, or half as fast: what it should have by then and has not, the store has sooner.
  private func isOverdue(_ piece: Int, of rank: Int, at now: TimeSpan) -> Bool {
    let waited = now - peersSince
    guard ownDone > 0 else {
      let isIdle = storeFlying == 0 && ownCursor >= own.count && holders.flying == 0 && heldCursor >= held.count
      return isIdle && waited > limits.grace
    }
    let position = Double(piece / (peers.count + 1) + 1)
    let expected = TimeSpan.seconds(2 * position * ownDoneAt.seconds / Double(ownDone))
    return waited > expected + limits.grace
  }

  /// How long a peer, or a holder, may take to send one piece that it has.
  func sendLimit(of rank: Int) -> TimeSpan {
    if holders.contains(rank) { return holders.sendLimit }
    guard ownDone > 0 else { return limits.grace + .seconds(30) }
    return limits.grace + .seconds(4 * Double(limits.storeLanes) * ownDoneAt.seconds / Double(ownDone))
  }

  /// Asks a peer, or a holder, for nothing any more; false where that was so.
  mutating func distrust(_ rank: Int) -> Bool {
    if holders.isUsable(rank) {
      holders.giveUp(on: rank)
      return true
    }
    guard let peer = peers[rank], peer.isUsable else { return false }
    giveUp(on: rank)
    return true
  }

  private mutating func giveUp(on rank: Int) {
    guard let peer = peers[rank], peer.isUsable else { return }
    peers[rank]?.isUsable = false
    bringElsewhere(peer.pieces[peer.cursor...])
    peers[rank]?.cursor = peer.pieces.count
  }

  /// Who gave the piece that now came from the store with other bytes.
  mutating func suspect(of piece: Int) -> Int? { suspects.removeValue(forKey: piece) }

  /// Pieces are on the disk and in the map.
  mutating func flushed(_ done: [Int]) {
    isFlushing = false
    for piece in done where pieces[piece] == .written {
      pieces[piece] = .finished
      unfinished -= 1
      for fragment in plan.pieces[piece].fragments {
        if hashing[fragment.file] != nil { readyToHash.append(fragment.file) }
        guard plan.files[fragment.file].checksum == nil else { continue }
        let isWhole = plan.piecesOfFile[fragment.file].allSatisfy { pieces[$0] == .finished }
        if isWhole { verified.insert(fragment.file) }
      }
    }
  }

  /// What is hashed of a file so far.
  func hashed(_ file: Int) -> ChecksumHash? { hashing[file]?.hash }

  /// `count` more pieces of a file were hashed; a verdict once these were the last.
  mutating func hashed(_ file: Int, _ hash: ChecksumHash, count: Int) -> Verdict? {
    hashesFlying -= 1
    guard var state = hashing[file] else { return nil }
    state.hash = hash
    state.done += count
    state.isBusy = false
    hashing[file] = state
    readyToHash.append(file)
    let all = plan.piecesOfFile[file]
    guard state.done == all.count else { return nil }
    if hash.checksum == plan.files[file].checksum {
      hashing[file] = nil
      verified.insert(file)
      for piece in all { givers[piece] = nil }
      secondHand.subtract(all)
      return .right
    }
    let given = all.filter { givers[$0] != nil }
    // What came from the store is believed as long as there is somebody else to blame.
    if given.isEmpty, state.wasWrong { return .corrupt }
    let again = given.isEmpty ? all : given
    hashing[file] = Hashing(hash: plan.files[file].checksum.flatMap(ChecksumHash.init), wasWrong: given.isEmpty)
    for piece in again {
      let giver = givers.removeValue(forKey: piece)
      // Who passed on what it was given may have been lied to, and finds out by itself.
      suspects[piece] = secondHand.remove(piece) == nil ? giver : nil
      pieces[piece] = .todo
      unfinished += 1
      fallback.append(piece)
    }
    return .again(dropped: again)
  }
}
