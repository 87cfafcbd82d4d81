import Domain

extension TransferState {
  /// Something to begin; its end has to be told.
  enum Work: Hashable, Sendable {
    /// Bring the piece from the store; `comparing` with what a peer gave.
    case store(piece: Int, comparing: Bool)
    /// Bring these pieces from the store by one request: they are neighbours in one object, and parts of one file.
    case run([Int])
    /// Ask a peer, or a holder, for the piece.
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
    /// Pieces from each holder at once.
    var holderLanes = 4
    /// Those of all nodes of a gang together, at least one each: what a holder can do besides is its own job.
    var gangHolderLanes = 16
    /// Files hashed at once.
    var hashLanes = 3
    /// How long it may take until it is known where the peers are.
    var patience = TimeSpan.seconds(5)
    /// What a peer is late by before its piece is brought from the store; holders are looked at no more often.
    var grace = TimeSpan.seconds(10)
    /// So often a peer may fail in a row before it is asked nothing more.
    var strikes = 3
  }
}
