/// Who may use a connection of a pool and who waits for one.
///
/// Decides; `PostgresPool` acts, outside its lock.
///
/// A borrower holds one of `limit` permits. With a permit goes an idle connection when there is one; otherwise the
/// borrower opens one. Permits pass from one borrower to the next in the order in which they came.
struct PoolState<Connection, Waiter> {
  /// What a borrower is to do.
  enum Borrowing {
    /// Go ahead, with this connection or with a new one.
    case granted(Connection?)
    /// Wait until `returned`, `abandon` or `close` names this waiter.
    case waits
    /// The pool is closed.
    case refused
  }

  /// What is to be done after a connection came back.
  struct Returned {
    /// Go ahead, with this connection or with a new one.
    var next: (waiter: Waiter, connection: Connection?)?
    /// Nobody may use it any more.
    var surplus: Connection?
  }

  private let limit: Int
  private var lent = 0
  private var idle: [Connection] = []
  private var waiters: [(id: UInt64, waiter: Waiter)] = []
  private(set) var isClosed = false

  init(limit: Int) {
    self.limit = max(limit, 1)
  }

  var counts: (lent: Int, idle: Int, waiting: Int) { (lent, idle.count, waiters.count) }

  mutating func borrow(id: UInt64, waiter: Waiter) -> Borrowing {
    guard !isClosed else { return .refused }
    guard lent < limit else {
      waiters.append((id, waiter))
      return .waits
    }
    lent += 1
    return .granted(idle.popLast())
  }

  /// Takes a permit back, with the connection unless it is broken.
  mutating func giveBack(_ connection: Connection?) -> Returned {
    guard !isClosed else {
      lent -= 1
      return Returned(surplus: connection)
    }
    if let connection { idle.append(connection) }
    guard !waiters.isEmpty else {
      lent -= 1
      return Returned()
    }
    return Returned(next: (waiters.removeFirst().waiter, idle.popLast()))
  }

  /// Takes a waiter out of the line; nil when it had its turn already.
  mutating func abandon(id: UInt64) -> Waiter? {
    guard let index = waiters.firstIndex(where: { $0.id == id }) else { return nil }
    return waiters.remove(at: index).waiter
  }

  /// Refuses everybody from now on; gives those who wait and what is to be closed.
  mutating func close() -> (waiters: [Waiter], connections: [Connection]) {
    isClosed = true
    defer {
      waiters = []
      idle = []
    }
    return (waiters.map(\.waiter), idle)
  }
}
