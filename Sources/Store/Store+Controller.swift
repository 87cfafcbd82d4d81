public import Domain
public import Postgres

/// The number of a daemon's turn at deciding: each turn's is greater than all before.
public struct ControllerEpoch: RawRepresentable, Hashable, Sendable, Comparable, SQLBindable, SQLDecodable {
  /// The number.
  public let rawValue: Int64

  /// The turn with this number.
  public init(rawValue: Int64) { self.rawValue = rawValue }

  /// Orders by number: earlier turns first.
  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// Who decides at the moment.
public struct ControllerRecord: Hashable, Sendable {
  /// The current turn; 0 before the first.
  public var epoch: ControllerEpoch
  /// Who has it; nil where it was given up.
  public var holder: String?
  /// When the turn began.
  public var takenAt: Timestamp?
  /// When its holder last said that it lives.
  public var heartbeatAt: Timestamp?

  init(row: Row) throws {
    epoch = try row.get("epoch")
    holder = try row.get("holder")
    takenAt = try row.get("taken_at")
    heartbeatAt = try row.get("heartbeat_at")
  }
}

extension Store {
  /// Who decides at the moment.
  public func controller() async throws -> ControllerRecord {
    try ControllerRecord(row: await pool.one("SELECT epoch, holder, taken_at, heartbeat_at FROM controller"))
  }

  /// Begins a new turn for `holder`, with an epoch above all before; writes of older ones are stale from then on.
  ///
  /// `.stale` where another holder gave a heartbeat less than `patience` ago by the database's clock. A holder takes
  /// over from itself at once: it was started again.
  public func takeControl(holder: String, patience: TimeSpan) async throws -> Guarded<ControllerEpoch> {
    try await transaction { transaction in
      let row = try await transaction.first(
        """
        UPDATE controller
        SET epoch = epoch + 1, holder = \(holder), taken_at = clock_timestamp(), heartbeat_at = clock_timestamp()
        WHERE holder IS NULL OR holder = \(holder)
          OR heartbeat_at < clock_timestamp() - make_interval(secs => \(patience.seconds))
        RETURNING epoch
        """)
      guard let row else { return .stale }
      let epoch = try row.get("epoch", as: ControllerEpoch.self)
      try await record(
        "controller.take", Subject(kind: "controller", id: epoch.rawValue), by: .controller(epoch),
        detail: ["holder": holder], in: transaction)
      return .done(epoch)
    }
  }

  /// Says that the holder of `epoch` lives; false where its turn is over, after which it must not decide anything.
  public func heartbeat(_ epoch: ControllerEpoch) async throws -> Bool {
    try await pool.execute(
      """
      UPDATE controller SET heartbeat_at = clock_timestamp() WHERE epoch = \(epoch) AND holder IS NOT NULL
      """) == 1
  }

  /// Gives the turn up, so that another need not wait; false where it was over already.
  @discardableResult
  public func releaseControl(_ epoch: ControllerEpoch) async throws -> Bool {
    try await pool.execute(
      """
      UPDATE controller SET holder = NULL, heartbeat_at = NULL WHERE epoch = \(epoch) AND holder IS NOT NULL
      """) == 1
  }

  /// Whether it is still the turn of `epoch`, and keeps it so until the transaction ends.
  func holds(_ epoch: ControllerEpoch, in transaction: PostgresTransaction) async throws -> Bool {
    try await transaction.first(
      "SELECT 1 AS ours FROM controller WHERE epoch = \(epoch) AND holder IS NOT NULL FOR SHARE") != nil
  }

  /// Runs `body` in a transaction if it is still the turn of `epoch`, and stays so until the commit.
  func controlled<Value>(
    by epoch: ControllerEpoch, _ body: (PostgresTransaction) async throws -> Guarded<Value>
  ) async throws -> Guarded<Value> {
    try await transaction { transaction in
      guard try await holds(epoch, in: transaction) else { return .stale }
      return try await body(transaction)
    }
  }

  /// Runs `body` in a transaction: for a controller only in its turn, for anybody else always.
  func permitted<Value>(
    to actor: Actor, _ body: (PostgresTransaction) async throws -> Guarded<Value>
  ) async throws -> Guarded<Value> {
    switch actor {
    case .controller(let epoch): try await controlled(by: epoch, body)
    case .user, .admin: try await transaction(body)
    }
  }
}
