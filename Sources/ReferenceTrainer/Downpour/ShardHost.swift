import Glibc
import Synchronization

/// One rank's shard of the parameters, served to the workers of all ranks by a thread of its own.
///
/// Its own rank's worker takes no way over the network: it enters the same lock. Rank 0's host also has the
/// coordinator. A worker that goes away without a goodbye is a failure of the attempt, which its own rank's worker
/// finds in `failure` at its next exchange, at the latest before its next step.
final class ShardHost: Sendable {
  let rank: Int
  let worldSize: Int
  let shard: Mutex<ParameterShard>
  /// Nil on other ranks than 0.
  let coordinator: Mutex<DownpourCoordinator?>
  private let found = Mutex<TrainerError?>(nil)
  private let isStopping = Atomic<Bool>(false)
  private let departed = Mutex<Set<Int>>([])

  init(rank: Int, worldSize: Int, shard: ParameterShard, coordinator: DownpourCoordinator?) {
    self.rank = rank
    self.worldSize = worldSize
    self.shard = Mutex(shard)
    self.coordinator = Mutex(coordinator)
  }

  /// What ended the attempt, as this host saw it.
  var failure: TrainerError? { found.withLock { $0 } }

  /// Whether every other worker has said goodbye.
  var isAlone: Bool { departed.withLock { $0.count } == worldSize - 1 }

  /// Begins to serve callers of `listener` that know `session`, until `stop`.
  ///
  /// - Throws: `.peerLost` where the system gives no thread.
  func start(
    _ listener: Socket, session: String, log: @escaping @Sendable (String) -> Void
  ) throws(TrainerError) {
    let handover = Handover(listener: listener)
    try startThread {
      ShardService(host: self, listener: handover.listener, session: session, log: log).run()
    }
  }

  /// Ends the service within a moment.
  func stop() { isStopping.store(true, ordering: .releasing) }

  /// The listener on its way to the thread that uses it from then on, and nobody else.
  private struct Handover: @unchecked Sendable {
    let listener: Socket
  }
}

extension ShardHost {
  fileprivate var isStopped: Bool { isStopping.load(ordering: .acquiring) }

  fileprivate func depart(_ peer: Int) { departed.withLock { _ = $0.insert(peer) } }

  fileprivate func lose(_ peer: Int, _ reason: String) {
    let error = TrainerError(
      .peerLost, "the shard of rank \(rank) lost the worker of rank \(peer): \(reason)",
      advice: "Nothing after the last checkpoint is kept; start again from there.")
    found.withLock { if $0 == nil { $0 = error } }
  }

  /// Answers one message of worker `peer`; nil where there is nothing to answer.
  ///
  /// - Throws: `EPROTO` for what no worker says, or not to this rank.
  fileprivate func answer(_ message: DownpourMessage, of peer: Int) throws(Socket.Failure) -> DownpourMessage? {
    switch message {
    case .fetch:
      return .parameters(shard.withLock { $0.parameters })
    case .push(let gradients):
      let fits = shard.withLock { shard in
        guard gradients.count == shard.parameters.count else { return false }
        gradients.withUnsafeBufferPointer { shard.apply($0) }
        return true
      }
      guard fits else { throw Socket.Failure(number: EPROTO) }
      return nil
    case .settle:
      return .settled
    case .pull:
      return shard.withLock { .contents(parameters: $0.parameters, squares: $0.squares) }
    case .report(let report) where report.rank == peer:
      let order = coordinator.withLock { $0?.hear(report) }
      guard let order else { throw Socket.Failure(number: EPROTO) }
      return .order(order)
    default:
      throw Socket.Failure(number: EPROTO)
    }
  }
}

/// The loop of a host's thread; owns the sockets.
private final class ShardService {
  private final class Caller {
    let socket: Socket
    var decoder = DownpourDecoder(longest: 4096)
    var rank: Int?
    /// Bytes to send, of which the first `sent` are gone.
    var outgoing: [UInt8] = []
    var sent = 0
    var isOver = false

    init(_ socket: Socket) { self.socket = socket }
  }

  private let host: ShardHost
  private let listener: Socket
  private let session: String
  private let log: (String) -> Void
  private var callers: [Caller] = []
  private var incoming = [UInt8](repeating: 0, count: 1 << 18)

  init(host: ShardHost, listener: Socket, session: String, log: @escaping (String) -> Void) {
    self.host = host
    self.listener = listener
    self.session = session
    self.log = log
  }

  func run() {
    while !host.isStopped {
      var sockets = [Readiness(descriptor: listener.descriptor, wantsToRead: true)]
      sockets += callers.map {
        Readiness(descriptor: $0.socket.descriptor, wantsToRead: true, wantsToWrite: !$0.outgoing.isEmpty)
      }
      guard wait(for: &sockets, until: .now + .milliseconds(20)) else { continue }
      for (caller, readiness) in zip(callers, sockets.dropFirst()) where readiness.canRead || readiness.canWrite {
        do throws(Socket.Failure) {
          if readiness.canRead { try hear(caller) }
          try flush(caller)
        } catch {
          end(caller, error.description)
        }
      }
      if sockets[0].canRead { accept() }
      callers.removeAll(where: \.isOver)
    }
  }

  private func accept() {
    do throws(Socket.Failure) {
      if let socket = try listener.accept() { callers.append(Caller(socket)) }
    } catch {
      log("the shard cannot accept a caller: \(error.description)")
    }
  }

  private func hear(_ caller: Caller) throws(Socket.Failure) {
    var failure: Socket.Failure?
    incoming.withUnsafeMutableBytes { buffer in
      do throws(Socket.Failure) {
        let count = try caller.socket.receive(buffer)
        caller.decoder.feed(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    while !caller.isOver, let message = try caller.decoder.next() {
      guard let rank = caller.rank else {
        try greet(caller, message)
        continue
      }
      if message == .goodbye {
        host.depart(rank)
        caller.isOver = true
      } else if let answer = try host.answer(message, of: rank) {
        caller.outgoing += try answer.encoded()
      }
    }
  }

  private func greet(_ caller: Caller, _ message: DownpourMessage) throws(Socket.Failure) {
    guard case .hello(let session, let rank) = message, session == self.session, rank != host.rank,
      (0..<host.worldSize).contains(rank), !callers.contains(where: { $0.rank == rank })
    else { throw Socket.Failure(number: EPROTO) }
    caller.rank = rank
    caller.decoder.longest = 4 * host.shard.withLock { $0.parameters.count } + 4096
  }

  private func flush(_ caller: Caller) throws(Socket.Failure) {
    guard !caller.outgoing.isEmpty else { return }
    var failure: Socket.Failure?
    caller.sent += caller.outgoing[caller.sent...].withUnsafeBytes { bytes in
      do throws(Socket.Failure) {
        return try caller.socket.send(bytes)
      } catch {
        failure = error
        return 0
      }
    }
    if let failure { throw failure }
    guard caller.sent == caller.outgoing.count else { return }
    caller.outgoing.removeAll(keepingCapacity: true)
    caller.sent = 0
  }

  private func end(_ caller: Caller, _ reason: String) {
    caller.isOver = true
    if let rank = caller.rank {
      host.lose(rank, reason)
    } else {
      log("a caller that is no worker of this attempt was turned away from the shard")
    }
  }
}
