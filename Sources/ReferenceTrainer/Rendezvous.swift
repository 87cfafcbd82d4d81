import Glibc

/// How the ranks of one attempt find each other and form a ring.
///
/// Rank 0 listens at `MASTER_ADDR:MASTER_PORT`. Every rank registers with its identity and the address of its
/// own listener; a rank of another run or attempt is refused. When all are there, rank 0 sends everyone the
/// table, and each rank connects to the next one.
struct Rendezvous {
  let identity: RankIdentity
  /// Where rank 0 listens.
  let master: Socket.Address
  let patience: Patience
  /// Drawn by rank 0 to tell this ring from any other; unused on other ranks.
  let session: String
  /// Told about refused callers.
  let log: (String) -> Void

  /// Forms the ring; returns once both neighbours are connected.
  ///
  /// - Throws: `.peerLost` when someone is missing after `patience`, `.refused` when rank 0 does not want us or a
  ///   rank was started differently, `.left` when asked to leave while waiting.
  func join() throws(TrainerError) -> Ring {
    guard identity.worldSize > 1 else { return .alone() }
    let (table, listener) = try meet()
    return try connect(table, listener: listener)
  }

  /// Waits for all ranks; returns where each listens, and this rank's own listener, whom callers show the session.
  ///
  /// Throws as `join` does.
  ///
  /// - Precondition: there are at least two ranks.
  func meet() throws(TrainerError) -> (table: RendezvousReply.Table, listener: Socket) {
    guard identity.rank == 0 else { return try register() }
    var host = RendezvousHost(self)
    return try host.gather()
  }

  // MARK: - Other ranks

  /// Registers with rank 0, trying again until it is there: ranks start in any order.
  private func register() throws(TrainerError) -> (table: RendezvousReply.Table, listener: Socket) {
    let deadline = patience.deadline()
    var last = "nothing listens there"
    var refused: RendezvousReply.Refusal?
    while ContinuousClock.now < deadline {
      do throws(Socket.Failure) {
        let channel = LineChannel(try Socket.connect(to: master))
        try awaitConnection(channel.socket, deadline)
        let own = try channel.socket.localAddress()
        let listener = try Socket.listen(at: Socket.Address(host: own.host, port: 0))
        try channel.send(Registration(identity: identity, address: try listener.localAddress()), patience)
        switch try awaitReply(channel, deadline) {
        case .table(let table): return (table, listener)
        case .refusal(let refusal) where isStale(refusal):
          last = "rank 0 of the stale attempt \(refusal.attempt) still listens there"
        case .refusal(let refusal): refused = refusal
        case nil: last = "rank 0 is there, but not every rank has come"
        }
      } catch {
        last = error.description
      }
      if let refused {
        throw TrainerError(.refused, "rank 0 refuses rank \(identity.rank): \(refused.reason)")
      }
      try pause()
    }
    throw TrainerError(
      .peerLost,
      "rank \(identity.rank) waited \(patience.seconds) s for rank 0 at \(master.host):\(master.port): \(last)",
      advice: "Check MASTER_ADDR and MASTER_PORT, and that every rank was started.")
  }

  /// Whether it is rank 0 who should have gone, not us.
  private func isStale(_ refusal: RendezvousReply.Refusal) -> Bool {
    guard refusal.run == identity.run, let theirs = Int(refusal.attempt), let ours = Int(identity.attempt) else {
      return false
    }
    return theirs < ours
  }

  private enum Answer {
    case table(RendezvousReply.Table)
    case refusal(RendezvousReply.Refusal)
  }

  func awaitConnection(_ socket: Socket, _ deadline: ContinuousClock.Instant) throws(Socket.Failure) {
    var sockets = [Readiness(descriptor: socket.descriptor, wantsToWrite: true)]
    while !patience.leaving(), ContinuousClock.now < deadline {
      guard wait(for: &sockets, until: deadline) else { continue }
      return try socket.finishConnecting()
    }
    throw Socket.Failure(number: ETIMEDOUT)
  }

  /// Waits for rank 0's answer; nil when patience ended first.
  private func awaitReply(_ channel: LineChannel, _ deadline: ContinuousClock.Instant) throws(Socket.Failure) -> Answer?
  {
    var sockets = [Readiness(descriptor: channel.socket.descriptor, wantsToRead: true)]
    while !patience.leaving(), ContinuousClock.now < deadline {
      guard wait(for: &sockets, until: deadline) else { continue }
      guard let reply = try channel.receive(RendezvousReply.self) else { continue }
      if let refusal = reply.refusal { return .refusal(refusal) }
      guard let table = reply.table, table.addresses.count == identity.worldSize else {
        throw Socket.Failure(number: EPROTO)
      }
      return .table(table)
    }
    return nil
  }

  // MARK: - The ring

  private func connect(_ table: RendezvousReply.Table, listener: Socket) throws(TrainerError) -> Ring {
    let worldSize = identity.worldSize
    let nextRank = (identity.rank + 1) % worldSize
    let address = table.addresses[nextRank]
    let next: Socket
    do throws(Socket.Failure) {
      next = try Socket.connect(to: address)
      try awaitConnection(next, patience.deadline())
      try LineChannel(next).send(NeighbourHello(session: table.session, rank: identity.rank), patience)
    } catch {
      try leaveIfAsked()
      throw TrainerError(
        .peerLost,
        "rank \(identity.rank) cannot reach rank \(nextRank) at \(address.host):\(address.port): \(error.description)")
    }
    let previous = try acceptPrevious(listener, session: table.session)
    return Ring(
      rank: identity.rank, worldSize: worldSize, next: next, previous: previous, silenceSeconds: patience.seconds)
  }

  /// Accepts callers until one proves to be the previous rank of this very ring.
  private func acceptPrevious(_ listener: Socket, session: String) throws(TrainerError) -> Socket {
    let expected = (identity.rank + identity.worldSize - 1) % identity.worldSize
    let deadline = patience.deadline()
    var callers: [LineChannel] = []
    while ContinuousClock.now < deadline {
      try leaveIfAsked()
      var sockets = [Readiness(descriptor: listener.descriptor, wantsToRead: true)]
      sockets += callers.map { Readiness(descriptor: $0.socket.descriptor, wantsToRead: true) }
      guard wait(for: &sockets, until: deadline) else { continue }
      var waiting: [LineChannel] = []
      for (caller, readiness) in zip(callers, sockets.dropFirst()) {
        guard readiness.canRead else {
          waiting.append(caller)
          continue
        }
        do throws(Socket.Failure) {
          guard let hello = try caller.receive(NeighbourHello.self) else {
            waiting.append(caller)
            continue
          }
          if hello.session == session, hello.rank == expected { return caller.socket }
          log("a caller that is not rank \(expected) of this attempt was turned away from the ring")
        } catch {
          log("a caller of the ring went away: \(error.description)")
        }
      }
      callers = waiting
      do throws(Socket.Failure) {
        if let caller = try listener.accept() { callers.append(LineChannel(caller)) }
      } catch {
        throw TrainerError(.peerLost, "rank \(identity.rank) cannot accept its neighbour: \(error.description)")
      }
    }
    throw TrainerError(.peerLost, "rank \(expected) did not connect to rank \(identity.rank) in \(patience.seconds) s")
  }

  /// Ends the wait with `.left` if the outside wants that.
  func leaveIfAsked() throws(TrainerError) {
    if patience.leaving() {
      throw TrainerError(.left, "rank \(identity.rank) was asked to leave before the first step; nothing to save")
    }
  }

  /// Lets a tenth of a second pass before the next try.
  func pause() throws(TrainerError) {
    try leaveIfAsked()
    var nobody: [Readiness] = []
    _ = wait(for: &nobody, until: .now + .milliseconds(100))
    try leaveIfAsked()
  }
}
