import Domain
import Glibc
import ObjectStorage
import Wire

/// Brings all files of a plan to a folder: from the store and from peers, in pieces that are noted as they finish.
///
/// Stopped at any moment, also by SIGKILL, the next one goes on from the map beside the folder.
struct Transfer: Sendable {
  /// Something that became known of a peer.
  typealias PeerNews = @Sendable (_ rank: Int, _ reason: String) -> Void

  let folder: PartialFolder
  let map: PieceMap
  var reader: StoreReader
  /// Where the other nodes are; nil where all comes from the store.
  var exchange: Exchange?
  /// Of those, who holds all of it.
  var holders = TransferHolders.none
  var limits = TransferState.Limits()
  var meter: ProgressMeter
  var distrusted: PeerNews = { _, _ in }

  static let pool = BlockingPool(label: "baton.staging", width: 8)
  /// Small objects are fetched so many at once within a piece: what a request costs is then mostly waiting.
  static let readsInAPiece = 6

  private enum Event: Sendable {
    /// From a node that had it `secondHand`, or else from the store or from who answers for it.
    case brought(piece: Int, rank: Int?, secondHand: Bool = false, right: [Int], wrong: [Int], differs: Bool)
    case failed(piece: Int, rank: Int, TransferState.PeerFailure)
    case flushed([Int])
    case hashed(file: Int, ChecksumHash, count: Int)
    case tick
  }

  private var plan: TransferPlan { folder.plan }

  /// Returns when every file is whole, verified and on the disk: the folder can be published.
  ///
  /// Throws `StagingFailure`, what the store throws, `SystemError`, and `CancellationError`.
  func run() async throws {
    var state = try await begin()
    meter.found(state.bytesFinished)
    let shelf = exchange?.shelf(for: plan)
    shelf?.opens(folder, pieces: state.served)
    try await drive(&state, shelf)
  }

  private func begin() async throws -> TransferState {
    try await Self.pool.run {
      var content = try map.read()
      if content == nil {
        var fresh = PieceMap.Content()
        fresh.files = try folder.salvage()
        do {
          try folder.prepare()
        } catch  where fresh.files.isEmpty {
          // Room that was reserved for nothing yet is better given back.
          try Disk.removeTree(folder.path)
          throw error
        }
        try map.begin()
        try map.append(fresh.files.sorted().map { .verified(file: $0) })
        content = fresh
      }
      return TransferState(
        plan, finished: content?.pieces ?? [], verified: content?.files ?? [], rank: exchange?.rank ?? 0,
        count: exchange?.count ?? 1, holders: holders, limits: limits)
    }
  }

  private func drive(_ state: inout TransferState, _ shelf: Shelf?) async throws {
    let start = BootInstant.now()
    try await withThrowingTaskGroup(of: Event.self) { group in
      var isTicking = false
      while !state.isDone {
        if let ports = exchange?.knownPeers { state.peersAreKnown(ports, at: .now() - start) }
        let now = BootInstant.now() - start
        for work in state.next(at: now) { begin(work, state, &group) }
        if state.waitsForPeers, !isTicking {
          isTicking = true
          group.addTask {
            try await Task.sleep(for: .milliseconds(50))
            return .tick
          }
        }
        guard let event = try await group.next() else {
          throw StagingFailure.failed("a transfer came to a stop with files missing: report this")
        }
        if case .tick = event { isTicking = false }
        try await take(event, &state, shelf, at: .now() - start)
      }
      group.cancelAll()
    }
  }

  private func begin(
    _ work: TransferState.Work, _ state: TransferState, _ group: inout ThrowingTaskGroup<Event, any Error>
  ) {
    switch work {
    case .store(let piece, let comparing):
      guard comparing || !plan.isPartOfLarge(piece) else {
        group.addTask { try await bring(PieceRun([piece], plan)) }
        return
      }
      let wanted = state.wanted(piece)
      group.addTask { try await bring(piece, wanted, comparing: comparing) }
    case .run(let pieces):
      let run = PieceRun(pieces, plan)
      for piece in pieces.dropLast() {
        group.addTask {
          try await run.landing(of: piece)
          return .brought(piece: piece, rank: nil, right: [], wrong: [], differs: false)
        }
      }
      group.addTask { try await bring(run) }
    case .peer(let piece, let rank):
      let wanted = state.wanted(piece)
      let limit = state.sendLimit(of: rank)
      group.addTask { try await ask(rank, piece, wanted, limit) }
    case .flush(let pieces):
      group.addTask {
        try await Self.pool.run { try folder.flush(pieces) }
        try await note(pieces.map { .finished(piece: $0) })
        return .flushed(pieces)
      }
    case .hash(let file, let pieces):
      guard let hash = state.hashed(file) else { return }
      group.addTask {
        try await Self.pool.run {
          var hash = hash
          for piece in pieces {
            // What is served to peers next is better left where it can be read fast.
            try folder.hash(file, piece: piece, into: &hash, drops: exchange?.owns(piece) != true)
          }
          return .hashed(file: file, hash, count: pieces.count)
        }
      }
    }
  }

  private func take(_ event: Event, _ state: inout TransferState, _ shelf: Shelf?, at now: TimeSpan) async throws {
    switch event {
    case .brought(let piece, let rank, let secondHand, let right, let wrong, let differs):
      if let corrupt = state.written(
        piece, from: rank, isSecondHand: secondHand, right: right, wrong: wrong, at: now)
      {
        throw StagingFailure.corrupt(key: plan.files[corrupt].sources.first?.key ?? plan.files[corrupt].path)
      }
      if let suspect = state.suspect(of: piece), differs, state.distrust(suspect) {
        distrusted(suspect, "it sent other bytes of \(name(piece)) than the store has")
      }
      guard wrong.isEmpty else { return }
      meter.brought(Int64(plan.pieces[piece].bytes), isBorrowed: rank != nil && !holders.ranks.isEmpty)
      shelf?.add(piece, isSecondHand: rank != nil)
    case .failed(let piece, let rank, let failure):
      if state.failed(piece, from: rank, failure, at: now), case .lied(let reason) = failure {
        distrusted(rank, reason)
      }
    case .flushed(let pieces):
      state.flushed(pieces)
    case .hashed(let file, let hash, let count):
      switch state.hashed(file, hash, count: count) {
      case .right: try await note([.verified(file: file)])
      case .corrupt: throw StagingFailure.corrupt(key: plan.files[file].sources.first?.key ?? plan.files[file].path)
      case .again(let dropped):
        shelf?.remove(dropped)
        meter.brought(-dropped.reduce(0) { $0 + Int64(plan.pieces[$1].bytes) })
        try await note(dropped.map { .dropped(piece: $0) })
      case nil: break
      }
    case .tick: break
    }
  }

  private func note(_ notes: [PieceMap.Note]) async throws { try await Self.notes.run { try map.append(notes) } }

  /// One call at a time appends to a map.
  private static let notes = BlockingPool(label: "baton.notes", width: 1)

  private func name(_ piece: Int) -> String {
    plan.pieces[piece].fragments.first.map { plan.files[$0.file].path } ?? "piece \(piece)"
  }

  // MARK: Bringing a piece

  private func bring(_ piece: Int, _ wanted: [Int], comparing: Bool) async throws -> Event {
    let fragments = plan.pieces[piece].fragments
    let reads = TransferPlan.reads(of: plan.pieces[piece], wanted: wanted)
    var bytes: [Int: [UInt8]] = [:]
    try await withThrowingTaskGroup(of: [(Int, [UInt8])].self) { group in
      for (index, read) in reads.enumerated() {
        if index >= Self.readsInAPiece, let some = try await group.next() {
          for (position, content) in some { bytes[position] = content }
        }
        group.addTask {
          let all = try await reader.read(read.key, read.range, tag: read.tag, isWhole: read.isWhole)
          guard read.positions.count > 1 else { return [(read.positions[0], all)] }
          return read.positions.map { position in
            let from = Int(fragments[position].start - read.range.lowerBound)
            return (position, Array(all[from..<from + fragments[position].count]))
          }
        }
      }
      for try await some in group { for (position, content) in some { bytes[position] = content } }
    }
    let brought = bytes
    return try await Self.pool.run {
      let judged = judge(piece, brought)
      let kept = wanted.filter { !judged.wrong.contains(fragments[$0].file) }
      let differs = try folder.write(
        piece, positions: kept, kept.map { brought[$0] ?? [] }, comparing: comparing)
      return .brought(piece: piece, rank: nil, right: judged.right, wrong: judged.wrong, differs: differs)
    }
  }

  /// Writes what comes as it comes, so that no piece is held in memory; ends with the last of the run.
  private func bring(_ run: PieceRun) async throws -> Event {
    do {
      try await reader.stream(run.key, run.range, tag: run.tag) { bytes in
        try await Self.pool.run { () throws(SystemError) in try folder.write(bytes, run) }
      }
    } catch {
      run.fail(error)
      throw error
    }
    return .brought(piece: run.pieces[run.pieces.count - 1], rank: nil, right: [], wrong: [], differs: false)
  }

  /// Hashes the files that are whole in a piece.
  private func judge(_ piece: Int, _ bytes: [Int: [UInt8]]) -> (right: [Int], wrong: [Int]) {
    var right: [Int] = []
    var wrong: [Int] = []
    for (position, content) in bytes {
      let index = plan.pieces[piece].fragments[position].file
      guard plan.piecesOfFile[index].count == 1, let matches = plan.files[index].checksum?.matches(content) else {
        continue
      }
      if matches { right.append(index) } else { wrong.append(index) }
    }
    return (right.sorted(), wrong.sorted())
  }

  private func ask(_ rank: Int, _ piece: Int, _ wanted: [Int], _ limit: TimeSpan) async throws -> Event {
    guard let exchange else { return .failed(piece: piece, rank: rank, .gone) }
    switch try await exchange.ask(rank, plan, piece: piece, sendLimit: limit) {
    case .failure(let failure):
      return .failed(piece: piece, rank: rank, failure)
    case .success(let given):
      return try await Self.pool.run {
        let all = given.bytes
        var bytes: [Int: [UInt8]] = [:]
        var offset = 0
        for (position, fragment) in plan.pieces[piece].fragments.enumerated() {
          if wanted.contains(position) { bytes[position] = Array(all[offset..<offset + fragment.count]) }
          offset += fragment.count
        }
        let judged = judge(piece, bytes)
        guard judged.wrong.isEmpty else {
          return .failed(piece: piece, rank: rank, .lied("what it sent of \(name(piece)) has another hash"))
        }
        _ = try folder.write(piece, positions: wanted, wanted.map { bytes[$0] ?? [] }, comparing: false)
        return .brought(
          piece: piece, rank: rank, secondHand: given.isSecondHand, right: judged.right, wrong: [], differs: false)
      }
    }
  }
}

extension TransferState.PeerFailure: Error {}
