import Domain
import Launching
import Logging
import Scheduling
import Store
import Synchronization
import Wire

/// Has nodes of a lease hand out what others of it stage, so that each byte comes from the store once for the lease.
///
/// Nothing depends on it: who cannot be had, or ends, is done without, and the store has all of it.
struct Lending: Sendable {
  /// What is staged, and by whom.
  struct Wish: Sendable {
    var lease: LeaseID
    var leaseEnd: Timestamp
    /// Those that are no copies are passed over.
    var datasets: [DatasetOrder]
    var takers: [NodeID]
    /// What the takers prove to who hands it out.
    var exchange: ExchangeOrder
  }

  /// Ends the handing out, where there is nothing more to stage; may be called twice.
  typealias Over = @Sendable () -> Void

  /// Nobody is waited for longer before staging begins.
  private static let patience = Duration.seconds(5)
  private static let longest = Duration.seconds(30 * 86_400)

  let services: Services
  let epoch: ControllerEpoch

  /// Runs `body` while nodes hand out what is wished for; it gets nil where none does.
  ///
  /// They end with it, or when it says so. Throws what `body` throws.
  func during<Value>(
    _ wish: Wish, _ body: (HoldersOrder?, @escaping Over) async throws -> Value
  ) async throws -> Value {
    let found: (lenders: [Lender], least: ByteCount)
    do {
      found = try await lenders(for: wish)
    } catch {
      services.logger.warning("who holds what \(wish.lease) stages is not known: \(error)")
      return try await body(nil, {})
    }
    let board = LendingBoard(count: found.lenders.count)
    return try await withThrowingTaskGroup(of: Void.self) { group in
      defer { group.cancelAll() }
      for (index, lender) in found.lenders.enumerated() {
        group.addTask { await lend(lender, at: index, board) }
      }
      let holders = await board.holders(waitingAtMost: Self.patience)
      let order = holders.isEmpty ? nil : HoldersOrder(holders: holders, least: found.least)
      return try await body(order) { board.end() }
    }
  }

  private struct Lender: Sendable {
    var node: NodeTarget
    var order: ServeOrder
  }

  /// Whom to ask, and what they have to give each taker a second to be worth it: half of what nodes get without them.
  private func lenders(for wish: Wish) async throws -> (lenders: [Lender], least: ByteCount) {
    let copies = wish.datasets.filter { $0.mode == .copy }
    guard !copies.isEmpty else { return ([], .zero) }
    let (snapshot, _) = try await services.store.snapshot()
    let chosen = holders(of: Set(copies.map(\.id)), for: wish.takers, in: wish.lease, snapshot)
    guard !chosen.isEmpty else { return ([], .zero) }
    let store = try await services.dataAccess(until: wish.leaseEnd)
    var lenders: [Lender] = []
    for (id, versions) in chosen.sorted(by: { $0.key < $1.key }) {
      let node = try await services.store.node(id)
      let order = ServeOrder(
        controllerEpoch: epoch.rawValue, datasets: copies.filter { versions.contains($0.id) }, store: store,
        address: node.request.address, exchange: wish.exchange)
      lenders.append(Lender(node: try services.target(node), order: order))
    }
    // Of a gang each node gets its share of the set from them, and the rest from the others.
    let rate = try await services.store.stagingRate() / 2 / Double(wish.takers.count)
    return (lenders, ByteCount(Int64(rate)))
  }

  /// Has one node hand out until it ends by itself, or the board says so.
  private func lend(_ lender: Lender, at index: Int, _ board: LendingBoard) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        do {
          try await services.agents.serve(lender.order, on: lender.node) { port, contentIDs in
            board.heard(.init(address: lender.order.address, port: port, contentIDs: contentIDs), from: index)
          }
        } catch is CancellationError {
        } catch {
          services.logger.info("\(lender.node.name) hands out nothing: \(error)")
        }
        board.heard(nil, from: index)
      }
      group.addTask { await board.stops[index].sleep(atMost: Self.longest) }
      await group.next()
      group.cancelAll()
    }
  }
}

/// Gathers who serves where, until each has said so, will not, or is too late.
final class LendingBoard: Sendable {
  private struct State {
    var said: [Int: HoldersOrder.Holder?] = [:]
    var isClosed = false
  }

  private let state = Mutex(State())
  private let count: Int
  private let isComplete = Bell()
  /// Each ends one of them.
  let stops: [Bell]

  init(count: Int) {
    self.count = count
    stops = (0..<count).map { _ in Bell() }
  }

  /// It serves, or, nil, does not.
  ///
  /// Only the first word counts. Who is too late is ended: nobody will ask it.
  func heard(_ holder: HoldersOrder.Holder?, from index: Int) {
    let (isAll, isLate) = state.withLock { state in
      guard state.said[index] == nil else { return (false, false) }
      guard !state.isClosed else { return (false, true) }
      state.said[index] = .some(holder)
      return (state.said.count == count, false)
    }
    if isAll { isComplete.ring() }
    if isLate { stops[index].ring() }
  }

  /// Those that serve, once all have spoken, or after `patience`.
  func holders(waitingAtMost patience: Duration) async -> [HoldersOrder.Holder] {
    if count > 0 { await isComplete.sleep(atMost: patience) }
    return state.withLock { state in
      state.isClosed = true
      return (0..<count).compactMap { state.said[$0] ?? nil }
    }
  }

  /// Nobody is needed any more.
  func end() { for stop in stops { stop.ring() } }
}

extension StageOrder {
  /// The same, of nodes that give each other what they stage, and get what `holders` have.
  func exchanging(under exchange: ExchangeOrder, with holders: HoldersOrder?) -> StageOrder {
    var order = self
    order.exchange = nodeAddresses.count > 1 || holders != nil ? exchange : nil
    order.holders = holders
    return order
  }
}
