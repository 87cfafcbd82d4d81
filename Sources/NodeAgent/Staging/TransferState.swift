import Domain
import ObjectStorage

/// What a transfer does next: a value that hears what happened and says what to begin; time is an argument.
struct TransferState: Sendable {
  /// Something to begin; its end has to be told.
  enum Work: Hashable, Sendable {
    /// Bring the piece from the store; `comparing` with what a peer gave.
    case store(piece: Int, comparing: Bool)
    /// Bring these pieces from the store by one request: they are neighbours in one object, and parts of one file.
    case run([Int])
    /// Ask a peer for the piece.
    case peer(piece: Int, rank: Int)
    /// Bring these pieces to the disk, and note them.
    case flush([Int])
    /// Hash the next finished pieces of a file.
    case hash(file: Int, pieces: [Int])
  }

  /// Why a peer gave no piece.
  enum PeerFailure: Hashable, Sendable {
    /// It does not have it yet.
    case notYet
    /// It cannot be reached, hangs, or refuses.
    case gone
    /// What it said is not what one of us says.
    case lied(String)
  }

  /// What follows from a file's hash.
  enum Verdict: Hashable, Sendable {
    case right
    /// Pieces of it come again; these are dropped from the map.
    case again(dropped: [Int])
    /// It came twice, and both times it was wrong.
    case corrupt
  }

  /// How long things may take, and how many go on at once.
  struct Limits: Hashable, Sendable {
    /// Requests for pieces to the store at once.
    var storeLanes = 6
    /// Those of all nodes of a gang together, at least one each: what shares one link to the store should come piece after
    /// piece, so that it is passed on while the rest comes, and not all at the end.
    var gangLanes = 8
    /// So many pieces one request brings at most: a store works for each request, too.
    var longestRun = 4
    /// Pieces from each peer at once.
    var peerLanes = 2
    /// Files hashed at once.
    var hashLanes = 3
    /// How long it may take until it is known where the peers are.
    var patience = TimeSpan.seconds(5)
    /// What a peer is late by before its piece is brought from the store.
    var grace = TimeSpan.seconds(10)
    /// So often a peer may fail in a row before it is asked nothing more.
    var strikes = 3
  }

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
  private var own: [Int] = []
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
  private var storeDone = 0
  private var storeDoneAt = TimeSpan.zero
  private var waitingForFlush: [Int] = []
  private var isFlushing = false
  private var hashing: [Int: Hashing] = [:]
  /// Files that may have finished pieces which are not hashed.
  private var readyToHash: [Int] = []
  private var hashesFlying = 0
  /// Who gave a piece, until the files in it are verified.
  private var givers: [Int: Int] = [:]
  /// Pieces that come again, and who gave them before.
  private var suspects: [Int: Int] = [:]
  private var smallWasWrong: Set<Int> = []

  /// A transfer of `plan` of which some is there; node `rank` of `count` brings its share from the store.
  ///
  /// With a `count` of 1 all comes from the store. What is `finished` was flushed, and small files in it were verified.
  init(
    _ plan: TransferPlan, finished: Set<Int> = [], verified: Set<Int> = [], rank: Int = 0, count: Int = 1,
    limits: Limits = Limits()
  ) {
    self.plan = plan
    self.limits = limits
    self.verified = verified.union(plan.files.indices.filter { plan.files[$0].size == 0 })
    pieces = Array(repeating: .todo, count: plan.pieces.count)
    unfinished = plan.pieces.count
    for other in 0..<count where other != rank { peers[other] = Peer() }
    for index in plan.pieces.indices {
      if finished.contains(index) || plan.pieces[index].fragments.allSatisfy({ self.verified.contains($0.file) }) {
        pieces[index] = .finished
        unfinished -= 1
      } else if index % count == rank {
        own.append(index)
      } else {
        peers[index % count]?.pieces.append(index)
      }
    }
    ownMissing = Set(own)
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

  /// Whether a peer's doing, or the patience with one, may change what is next.
  var waitsForPeers: Bool { peers.contains { $0.value.isUsable && $0.value.cursor < $0.value.pieces.count } }

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
  /// Returns a file that was wrong twice.
  mutating func written(_ piece: Int, from rank: Int?, right: [Int], wrong: [Int], at now: TimeSpan) -> Int? {
    landed(piece, rank, at: now)
    verified.formUnion(right)
    for file in wrong where !smallWasWrong.insert(file).inserted { return file }
    if !wrong.isEmpty {
      pieces[piece] = .todo
      fallback.append(piece)
      return nil
    }
    if let rank { givers[piece] = rank }
    pieces[piece] = .written
    waitingForFlush.append(piece)
    return nil
  }

  private mutating func landed(_ piece: Int, _ rank: Int?, at now: TimeSpan) {
    if let rank {
      peers[rank]?.flying -= 1
      peers[rank]?.strikes = 0
    } else {
      ownMissing.remove(piece)
      if goesOn.remove(piece) == nil { storeFlying -= 1 }
      storeDone += 1
      storeDoneAt = now
    }
  }

  /// A peer gave no piece; true where it is the first time that it is found to lie.
  mutating func failed(_ piece: Int, from rank: Int, _ failure: PeerFailure, at now: TimeSpan) -> Bool {
    peers[rank]?.flying -= 1
    pieces[piece] = .todo
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
    fallback.append(piece)
    return false
  }

  /// A peer is as fast as this node, or half as fast: what it should have by then and has not, the store has sooner.
  private func isOverdue(_ piece: Int, of rank: Int, at now: TimeSpan) -> Bool {
    let waited = now - peersSince
    guard storeDone > 0 else { return storeFlying == 0 && ownCursor >= own.count && waited > limits.grace }
    let position = Double(piece / (peers.count + 1) + 1)
    let expected = TimeSpan.seconds(2 * position * storeDoneAt.seconds / Double(storeDone))
    return waited > expected + limits.grace
  }

  /// How long a peer may take to send one piece that it has.
  var sendLimit: TimeSpan {
    guard storeDone > 0 else { return limits.grace + .seconds(30) }
    return limits.grace + .seconds(4 * Double(limits.storeLanes) * storeDoneAt.seconds / Double(storeDone))
  }

  /// Asks a peer for nothing any more; false where that was so.
  mutating func distrust(_ rank: Int) -> Bool {
    guard let peer = peers[rank], peer.isUsable else { return false }
    giveUp(on: rank)
    return true
  }

  private mutating func giveUp(on rank: Int) {
    guard let peer = peers[rank], peer.isUsable else { return }
    peers[rank]?.isUsable = false
    fallback += peer.pieces[peer.cursor...]
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
      return .right
    }
    let given = all.filter { givers[$0] != nil }
    // What came from the store is believed as long as there is somebody else to blame.
    if given.isEmpty, state.wasWrong { return .corrupt }
    let again = given.isEmpty ? all : given
    hashing[file] = Hashing(hash: plan.files[file].checksum.flatMap(ChecksumHash.init), wasWrong: given.isEmpty)
    for piece in again {
      suspects[piece] = givers.removeValue(forKey: piece)
      pieces[piece] = .todo
      unfinished += 1
      fallback.append(piece)
    }
    return .again(dropped: again)
  }
}
