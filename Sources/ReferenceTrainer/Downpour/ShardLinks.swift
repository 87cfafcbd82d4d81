import Synchronization

/// One worker's way to all shards: over the network to those of other ranks, by a lock to its own rank's.
///
/// Used from one thread. Whatever it waits for, the death of any rank and `silenceSeconds` without a word end the wait
/// with `.peerLost`.
final class ShardLinks {
  private struct Link {
    let rank: Int
    let socket: Socket
    var decoder: DownpourDecoder
  }

  private let host: ShardHost
  private let count: Int
  private let silenceSeconds: Int
  private var links: [Link] = []
  private var incoming = [UInt8](repeating: 0, count: 1 << 18)

  /// Links of a world of one.
  ///
  /// - Parameter count: parameters over all shards.
  init(host: ShardHost, count: Int, silenceSeconds: Int) {
    self.host = host
    self.count = count
    self.silenceSeconds = silenceSeconds
  }

  /// Connects to the shards of all other ranks.
  func connect(_ table: RendezvousReply.Table, _ rendezvous: Rendezvous) throws(TrainerError) {
    for (rank, address) in table.addresses.enumerated() where rank != host.rank {
      do throws(Socket.Failure) {
        let socket = try Socket.connect(to: address)
        try rendezvous.awaitConnection(socket, rendezvous.patience.deadline())
        links.append(Link(rank: rank, socket: socket, decoder: DownpourDecoder(longest: 8 * count + 4096)))
      } catch {
        try rendezvous.leaveIfAsked()
        throw lost(rank, "cannot reach it at \(address.host):\(address.port): \(error.description)")
      }
    }
    let hello = try bytes(.hello(session: table.session, rank: host.rank))
    try tell { _ in hello }
  }

  /// Takes all shards' parameters.
  func fetch(into parameters: FloatBuffer) throws(TrainerError) {
    let question = try bytes(.fetch)
    parameters.assign(host.shard.withLock { $0.parameters }, from: range(host.rank).lowerBound)
    try exchange({ _ in question }) { (rank, answer) throws(TrainerError) in
      guard case .parameters(let values) = answer, values.count == range(rank).count else {
        throw lost(rank, "it answers what was not asked")
      }
      parameters.assign(values, from: range(rank).lowerBound)
    }
  }

  /// Sends each shard its part of `gradients`; no shard answers, and none has applied it when this returns.
  func push(_ gradients: FloatBuffer) throws(TrainerError) {
    let part = { (rank: Int) in
      let range = self.range(rank)
      return UnsafeBufferPointer(start: gradients.base + range.lowerBound, count: range.count)
    }
    host.shard.withLock { $0.apply(part(host.rank)) }
    try tell { DownpourMessage.push(part($0)) }
  }

  /// Returns once all that was pushed before is applied.
  func settle() throws(TrainerError) {
    let question = try bytes(.settle)
    try exchange({ _ in question }) { (rank, answer) throws(TrainerError) in
      guard answer == .settled else { throw lost(rank, "it answers what was not asked") }
    }
  }

  /// Takes parameters and sums of squares of all shards.
  func pull() throws(TrainerError) -> (parameters: [Float], squares: [Float]) {
    var parameters = [Float](repeating: 0, count: count)
    var squares = parameters
    let own = host.shard.withLock { $0 }
    parameters.replaceSubrange(range(host.rank), with: own.parameters)
    squares.replaceSubrange(range(host.rank), with: own.squares)
    let question = try bytes(.pull)
    try exchange({ _ in question }) { (rank, answer) throws(TrainerError) in
      guard case .contents(let values, let sums) = answer, values.count == range(rank).count else {
        throw lost(rank, "it answers what was not asked")
      }
      parameters.replaceSubrange(range(rank), with: values)
      squares.replaceSubrange(range(rank), with: sums)
    }
    return (parameters, squares)
  }

  /// Tells rank 0 where this worker stands; returns what it is to do.
  func report(_ report: DownpourCoordinator.Report) throws(TrainerError) -> DownpourCoordinator.Order {
    if let order = host.coordinator.withLock({ $0?.hear(report) }) {
      if let failure = host.failure { throw failure }
      return order
    }
    var order: DownpourCoordinator.Order?
    let question = try bytes(.report(report))
    try exchange({ $0 == 0 ? question : nil }) { (rank, answer) throws(TrainerError) in
      guard rank == 0, case .order(let received) = answer else { throw lost(rank, "it answers what was not asked") }
      order = received
    }
    guard let order else { throw lost(0, "it does not answer") }
    return order
  }

  /// Takes leave of all shards, so that nobody takes the end of this process for a death.
  func sayGoodbye() throws(TrainerError) {
    let word = try bytes(.goodbye)
    try tell { _ in word }
  }

  /// The values that the shard of `rank` keeps.
  private func range(_ rank: Int) -> Range<Int> {
    ParameterShard.range(of: rank, worldSize: host.worldSize, count: count)
  }

  private func bytes(_ message: DownpourMessage) throws(TrainerError) -> [UInt8] {
    do throws(Socket.Failure) {
      return try message.encoded()
    } catch {
      throw TrainerError(.peerLost, "a message cannot be written: \(error.description)")
    }
  }

  private func lost(_ rank: Int, _ reason: String) -> TrainerError {
    TrainerError(
      .peerLost, "the worker of rank \(host.rank) lost the shard of rank \(rank): \(reason)",
      advice: "Nothing after the last checkpoint is kept; start again from there.")
  }

  /// One link's part of an exchange.
  private struct Talk {
    var outgoing: [UInt8]
    var sent = 0
    var isAnswered: Bool

    var isOver: Bool { sent == outgoing.count && isAnswered }
  }

  /// Sends to all ranks at once what `outgoing` has for each, and waits for no answer.
  private func tell(_ outgoing: (Int) -> [UInt8]?) throws(TrainerError) {
    try exchange(outgoing, isAnswered: false) { _, _ in }
  }

  /// Sends to all ranks at once what `outgoing` has for each (nil: nothing, and no answer), and gives `answer` one answer
  /// of each, where they are to answer.
  private func exchange(
    _ outgoing: (Int) -> [UInt8]?, isAnswered: Bool = true,
    answer: (Int, DownpourMessage) throws(TrainerError) -> Void
  ) throws(TrainerError) {
    var talks = links.map { link in
      let words = outgoing(link.rank)
      return Talk(outgoing: words ?? [], isAnswered: words == nil || !isAnswered)
    }
    var deadline: ContinuousClock.Instant = .now + .seconds(silenceSeconds)
    while true {
      if let failure = host.failure { throw failure }
      var hasMoved = false
      for index in links.indices where !talks[index].isOver {
        do throws(Socket.Failure) {
          if try send(&talks[index], links[index].socket) { hasMoved = true }
          guard !talks[index].isAnswered, try receive(index) else { continue }
          hasMoved = true
          guard let message = try links[index].decoder.next() else { continue }
          talks[index].isAnswered = true
          do throws(TrainerError) {
            try answer(links[index].rank, message)
          } catch {
            refusal = error
          }
        } catch {
          throw lost(links[index].rank, error.description)
        }
        if let refusal { throw refusal }
      }
      if talks.allSatisfy(\.isOver) { return }
      if hasMoved {
        deadline = .now + .seconds(silenceSeconds)
        continue
      }
      var sockets: [Readiness] = []
      for (talk, link) in zip(talks, links) where !talk.isOver {
        sockets.append(
          Readiness(
            descriptor: link.socket.descriptor, wantsToRead: !talk.isAnswered,
            wantsToWrite: talk.sent < talk.outgoing.count))
      }
      if !wait(for: &sockets, until: deadline), ContinuousClock.now >= deadline {
        let silent = zip(talks, links).first { !$0.0.isOver }?.1.rank ?? 0
        throw lost(silent, "silent for \(silenceSeconds) s")
      }
    }
  }

  /// What an answer was refused with, on its way out of the loop above.
  private var refusal: TrainerError?

  /// Sends some; returns whether any went.
  private func send(_ talk: inout Talk, _ socket: Socket) throws(Socket.Failure) -> Bool {
    guard talk.sent < talk.outgoing.count else { return false }
    var failure: Socket.Failure?
    let sent = talk.outgoing[talk.sent...].withUnsafeBytes { bytes in
      do throws(Socket.Failure) {
        return try socket.send(bytes)
      } catch {
        failure = error
        return 0
      }
    }
    if let failure { throw failure }
    talk.sent += sent
    return sent > 0
  }

  /// Takes in some of what link `index` has; returns whether there was any.
  private func receive(_ index: Int) throws(Socket.Failure) -> Bool {
    var outcome: Result<Int, Socket.Failure> = .success(0)
    incoming.withUnsafeMutableBytes { buffer in
      do throws(Socket.Failure) {
        let count = try links[index].socket.receive(buffer)
        links[index].decoder.feed(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        outcome = .success(count)
      } catch {
        outcome = .failure(error)
      }
    }
    return try outcome.get() > 0
  }
}
