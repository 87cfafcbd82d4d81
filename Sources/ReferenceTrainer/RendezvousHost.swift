import Glibc

/// Rank 0's side of the rendezvous: lets in who belongs, refuses who does not, sends the table when all are there.
struct RendezvousHost {
  private let rendezvous: Rendezvous
  private var joined: [Int: (channel: LineChannel, address: Socket.Address)] = [:]
  private var callers: [LineChannel] = []

  init(_ rendezvous: Rendezvous) {
    self.rendezvous = rendezvous
  }

  private var identity: RankIdentity { rendezvous.identity }

  /// Waits for every rank; returns the table they were all sent and rank 0's own ring listener.
  mutating func gather() throws(TrainerError) -> (table: RendezvousReply.Table, listener: Socket) {
    let deadline = rendezvous.patience.deadline()
    let listener = try listen(deadline)
    while joined.count < identity.worldSize - 1 {
      try rendezvous.leaveIfAsked()
      guard ContinuousClock.now < deadline else { throw missing() }
      try turn(listener, deadline)
    }
    do throws(Socket.Failure) {
      // Others reach rank 0 by the name they already used, whatever its interfaces are called here.
      let local = try listener.localAddress()
      let own = try Socket.listen(at: Socket.Address(host: local.host, port: 0))
      let port = try own.localAddress().port
      var addresses = [Socket.Address(host: rendezvous.master.host, port: port)]
      for rank in 1..<identity.worldSize {
        if let member = joined[rank] { addresses.append(member.address) }
      }
      let table = RendezvousReply.Table(session: rendezvous.session, addresses: addresses)
      for rank in 1..<identity.worldSize {
        try joined[rank]?.channel.send(RendezvousReply(table: table), rendezvous.patience)
      }
      return (table, own)
    } catch {
      throw TrainerError(.peerLost, "a rank went away before the ring was formed: \(error.description)")
    }
  }

  /// Listens at the master address, or at every interface if that address is a translated one.
  private func listen(_ deadline: ContinuousClock.Instant) throws(TrainerError) -> Socket {
    let master = rendezvous.master
    while true {
      let failure: Socket.Failure
      do throws(Socket.Failure) {
        return try Socket.listen(at: master)
      } catch {
        failure = error
      }
      if failure.number == EADDRNOTAVAIL {
        do throws(Socket.Failure) {
          return try Socket.listen(at: Socket.Address(host: "0.0.0.0", port: master.port))
        } catch {
          throw TrainerError(.peerLost, "rank 0 cannot listen at port \(master.port): \(error.description)")
        }
      }
      // Rank 0 of a former attempt may need a moment to go.
      guard failure.number == EADDRINUSE, ContinuousClock.now < deadline else {
        throw TrainerError(
          .peerLost, "rank 0 cannot listen at \(master.host):\(master.port): \(failure.description)",
          advice: "Check MASTER_ADDR, and that no other program uses MASTER_PORT.")
      }
      try rendezvous.pause()
    }
  }

  /// Serves whoever is ready; one silent caller holds nobody up.
  private mutating func turn(_ listener: Socket, _ deadline: ContinuousClock.Instant) throws(TrainerError) {
    let ranks = joined.keys.sorted()
    let members = ranks.compactMap { joined[$0]?.channel }
    var sockets = [Readiness(descriptor: listener.descriptor, wantsToRead: true)]
    sockets += (members + callers).map { Readiness(descriptor: $0.socket.descriptor, wantsToRead: true) }
    guard wait(for: &sockets, until: deadline) else { return }
    for (index, rank) in ranks.enumerated() where sockets[1 + index].canRead {
      // A member has nothing more to say: whatever can be read is its end. It may come again.
      rendezvous.log("rank \(rank) went away again before all had come")
      joined[rank] = nil
    }
    var waiting: [LineChannel] = []
    for (index, caller) in callers.enumerated() {
      guard sockets[1 + members.count + index].canRead else {
        waiting.append(caller)
        continue
      }
      let registration: Registration
      do throws(Socket.Failure) {
        guard let received = try caller.receive(Registration.self) else {
          waiting.append(caller)
          continue
        }
        registration = received
      } catch {
        rendezvous.log("a caller of the rendezvous went away: \(error.description)")
        continue
      }
      if let objection = objection(to: registration.identity) {
        refuse(caller, registration.identity, objection.reason)
        guard objection.isFinal else { continue }
        throw TrainerError(.refused, "rank \(registration.identity.rank) cannot take part: \(objection.reason)")
      }
      joined[registration.identity.rank] = (caller, registration.address)
    }
    callers = waiting
    do throws(Socket.Failure) {
      if let caller = try listener.accept() { callers.append(LineChannel(caller)) }
    } catch {
      throw TrainerError(.peerLost, "rank 0 cannot accept callers: \(error.description)")
    }
  }

  /// Why a caller may not join.
  private struct Objection {
    var reason: String
    /// The caller is one of ours and will never fit, so waiting for a better one is in vain.
    var isFinal = false
  }

  private func objection(to caller: RankIdentity) -> Objection? {
    guard caller.run == identity.run, caller.attempt == identity.attempt else {
      return Objection(
        reason: "it is of attempt \(caller.attempt) of run \(caller.run), "
          + "this is attempt \(identity.attempt) of run \(identity.run)")
    }
    guard caller.worldSize == identity.worldSize else {
      return Objection(
        reason: "it was told of \(caller.worldSize) ranks, rank 0 of \(identity.worldSize)", isFinal: true)
    }
    guard (1..<identity.worldSize).contains(caller.rank), joined[caller.rank] == nil else {
      return Objection(reason: "rank \(caller.rank) is taken")
    }
    guard caller.fingerprint == identity.fingerprint else {
      return Objection(reason: "its data, settings or checkpoint are not those of rank 0", isFinal: true)
    }
    return nil
  }

  private func refuse(_ caller: LineChannel, _ who: RankIdentity, _ reason: String) {
    rendezvous.log("refused rank \(who.rank) of attempt \(who.attempt): \(reason)")
    let refusal = RendezvousReply.Refusal(reason: reason, run: identity.run, attempt: identity.attempt)
    do throws(Socket.Failure) {
      try caller.send(RendezvousReply(refusal: refusal), rendezvous.patience)
    } catch {
      rendezvous.log("it did not wait for the answer: \(error.description)")
    }
  }

  private func missing() -> TrainerError {
    let absent = (1..<identity.worldSize).filter { joined[$0] == nil }.map(String.init).joined(separator: ", ")
    return TrainerError(
      .peerLost, "rank 0 waited \(rendezvous.patience.seconds) s for rank \(absent)",
      advice: "Check that every rank was started with the same MASTER_ADDR, MASTER_PORT and WORLD_SIZE.")
  }
}
