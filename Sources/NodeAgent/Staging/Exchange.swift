import Domain
import Glibc
import ObjectStorage
import Synchronization
import Wire

/// How the nodes of an attempt give each other what they stage: each brings its share from the store, and serves it.
///
/// Other nodes that hold some of it already, the holders, are asked as peers are; their ranks are those after the gang's.
final class Exchange: Sendable {
  /// Where a request stands; ended from outside when its task is cancelled.
  private final class Call: Sendable {
    private let state = Mutex<(connection: Connection?, isCancelled: Bool)>((nil, false))

    func uses(_ connection: Connection) {
      if state.withLock({ state in
        state.connection = connection
        return state.isCancelled
      }) {
        connection.hangUp()
      }
    }

    func cancel() {
      state.withLock { state in
        state.isCancelled = true
        return state.connection
      }?.hangUp()
    }
  }

  /// A connection on which nothing is under way.
  private struct Idle {
    var connection: Connection
    var nonce: [UInt8]
    var number: UInt64
  }

  private struct State {
    var ports: [Int?]?
    var idle: [Int: [Idle]] = [:]
  }

  /// The wait for one piece is done in stretches, so that what changed meanwhile is looked at.
  static let stretch = TimeSpan.seconds(2)
  private static let connectLimit = TimeSpan.seconds(5)
  private static let pool = BlockingPool(label: "baton.exchange.ask", width: 32)

  let rank: Int
  private let addresses: [String]
  private let holders: HoldersOrder?
  private let key: ExchangeKey
  private let state: Mutex<State>
  private let shelves: Shelves
  /// Nil for a node that is alone: it only asks holders.
  private let server: PeerServer?
  /// What a peer is given to answer beyond the wait that it was asked for.
  private let answerLimit: TimeSpan

  /// Serves at once, where there is more than one node; what there is comes on its shelves later.
  ///
  /// Throws `StagingFailure` for a key that is none, `SystemError` where it cannot listen.
  init(
    _ order: ExchangeOrder, rank: Int, addresses: [String], holders: HoldersOrder? = nil,
    answerLimit: TimeSpan = .seconds(10)
  ) throws {
    guard let key = ExchangeKey(hex: order.key) else {
      throw StagingFailure.failed("the order's key for the exchange is no key")
    }
    self.key = key
    self.rank = rank
    self.addresses = addresses
    self.holders = holders
    self.answerLimit = answerLimit
    let shelves = Shelves()
    self.shelves = shelves
    let isAlone = addresses.count == 1
    state = Mutex(State(ports: isAlone ? [nil] : nil))
    server = isAlone ? nil : try PeerServer(host: addresses[rank], key: key) { shelves.shelf($0) }
  }

  var count: Int { addresses.count }
  /// Where this node serves; nil for one that is alone.
  var port: Int? { server?.port }

  func address(_ rank: Int) -> String { holder(rank)?.address ?? addresses[rank] }

  private func holder(_ rank: Int) -> HoldersOrder.Holder? { rank < count ? nil : holders?.holders[rank - count] }

  private func port(_ rank: Int) -> Int? {
    if let holder = holder(rank) { return holder.port }
    return state.withLock { $0.ports.flatMap { $0.indices.contains(rank) ? $0[rank] : nil } }
  }

  /// Whether this node brings the piece for others, too.
  func owns(_ piece: Int) -> Bool { count > 1 && piece % count == rank }

  /// Who holds a copy of the data set with this content.
  func holders(of contentID: String) -> TransferHolders {
    guard let holders else { return .none }
    let ranks = holders.holders.indices.filter { holders.holders[$0].contentIDs.contains(contentID) }
    return TransferHolders(ranks: ranks.map { count + $0 }, least: holders.least)
  }

  /// Where pieces of `plan` are handed out.
  func shelf(for plan: TransferPlan) -> Shelf { shelves.shelf(for: plan) }

  /// The nodes serve on `ports`, in rank order.
  func peersServe(on ports: [Int?]) { state.withLock { $0.ports = ports } }

  /// The other nodes that serve; nil as long as nobody has said.
  var knownPeers: Set<Int>? {
    state.withLock { state in
      state.ports.map { ports in Set(ports.indices.filter { $0 != rank && $0 < count && ports[$0] != nil }) }
    }
  }

  /// How long nobody has asked for anything.
  var idleTime: TimeSpan { server?.idleTime ?? .zero }

  /// Serves no more.
  func close() { server?.close() }

  /// Asks a peer, or a holder, for a piece, which it may wait for a while; `sendLimit` is for sending it.
  ///
  /// Throws `CancellationError` only.
  func ask(
    _ rank: Int, _ plan: TransferPlan, piece: Int, sendLimit: TimeSpan
  ) async throws -> Result<Shelf.Given, TransferState.PeerFailure> {
    let call = Call()
    let result = await withTaskCancellationHandler {
      await Self.pool.run { self.askBlocking(rank, plan, piece, sendLimit, call) }
    } onCancel: {
      call.cancel()
    }
    try Task.checkCancellation()
    return result
  }

  private func askBlocking(
    _ rank: Int, _ plan: TransferPlan, _ piece: Int, _ sendLimit: TimeSpan, _ call: Call
  ) -> Result<Shelf.Given, TransferState.PeerFailure> {
    do {
      // A connection that was idle may be dead without anybody's fault.
      if let idle = takeIdle(rank), let result = try? ask(idle, rank, plan, piece, sendLimit, call) { return result }
      guard let port = port(rank) else { return .failure(.gone) }
      let connection = try Connection.open(address(rank), port: port, until: .now() + Self.connectLimit)
      call.uses(connection)
      let limit = BootInstant.now() + answerLimit
      guard try connection.receive(PeerProtocol.greeting.count, until: limit) == PeerProtocol.greeting else {
        return .failure(.lied("what listens on its port is no agent of this version"))
      }
      let nonce = try connection.receive(PeerProtocol.nonceSize, until: limit)
      return try ask(Idle(connection: connection, nonce: nonce, number: 0), rank, plan, piece, sendLimit, call)
    } catch {
      return .failure(.gone)
    }
  }

  private func takeIdle(_ rank: Int) -> Idle? {
    state.withLock { state in
      while let idle = state.idle[rank]?.popLast() { if !idle.connection.isSpent { return idle } }
      return nil
    }
  }

  private func ask(
    _ idle: Idle, _ rank: Int, _ plan: TransferPlan, _ piece: Int, _ sendLimit: TimeSpan, _ call: Call
  ) throws(SystemError) -> Result<Shelf.Given, TransferState.PeerFailure> {
    let connection = idle.connection
    call.uses(connection)
    let request = PeerProtocol.Request(
      number: idle.number, plan: PeerProtocol.bytes(hex: plan.id) ?? [], piece: UInt32(piece),
      waitMilliseconds: UInt32(Self.stretch.microseconds / 1000), nonce: PeerProtocol.nonce())
    try connection.send(request.encoded(key, serverNonce: idle.nonce), until: .now() + answerLimit)
    let head = try connection.receive(
      PeerProtocol.answerHeadSize, until: .now() + Self.stretch + answerLimit)
    guard let length = PeerProtocol.bodyLength(head) else {
      return .failure(.lied("its answer has a head that none of us sends"))
    }
    let limit = BootInstant.now() + sendLimit
    let body = try connection.receive(length, until: limit)
    let proof = try connection.receive(PeerProtocol.proofSize, until: limit)
    let status = PeerProtocol.status(
      head: head, body: body, proof: proof, of: request, key, serverNonce: idle.nonce)
    guard let status else { return .failure(.lied("its answer does not carry the proof of this exchange")) }
    if status != .notYet, length != plan.pieces[piece].bytes {
      return .failure(.lied("it sent \(length) bytes of a piece of \(plan.pieces[piece].bytes)"))
    }
    state.withLock {
      $0.idle[rank, default: []].append(Idle(connection: connection, nonce: idle.nonce, number: idle.number + 1))
    }
    switch status {
    case .notYet: return .failure(.notYet)
    case .piece, .secondHand: return .success(.init(bytes: body, isSecondHand: status == .secondHand))
    }
  }
}
