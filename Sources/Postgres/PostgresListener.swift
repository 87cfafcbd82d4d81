/// Listens to notifications on a connection of its own and comes back when that breaks.
///
/// `NOTIFY` is a hint and not a queue: what is sent while nobody listens is lost. So the consumer reads everything anew
/// on `.reconnected` and `.overflowed`.
///
///     async let listening: Void = listener.run()
///     for await event in listener.events { ... }
public final class PostgresListener: Sendable {
  /// What the consumer is told.
  public enum Event: Sendable, Hashable {
    /// Listening has begun, for the first time or again: whatever happened before was missed. Read everything anew.
    case reconnected
    /// The consumer was too slow and notifications were dropped. Read everything anew.
    case overflowed
    /// Somebody sent this. Equal ones that were not consumed yet are one.
    case notification(PostgresNotification)
  }

  /// The events as they come, for one consumer.
  ///
  /// Ends when `run` does, or when the consumer's task is cancelled.
  public struct Events: AsyncSequence, Sendable {
    fileprivate let buffer: NotificationBuffer

    /// Takes events out of the listener.
    public struct Iterator: AsyncIteratorProtocol {
      fileprivate let buffer: NotificationBuffer

      /// The next event; waits for it.
      public mutating func next() async -> Event? {
        await buffer.next()
      }
    }

    /// An iterator over what was not taken yet.
    public func makeAsyncIterator() -> Iterator {
      Iterator(buffer: buffer)
    }
  }

  private let conninfo: String
  private let options: PostgresOptions
  private let channels: [String]
  private let backoff: Backoff
  private let buffer: NotificationBuffer

  /// A listener to `channels`, whose names are taken as they are.
  ///
  /// `bufferLimit` is how many different notifications wait for the consumer before `.overflowed` replaces them.
  public init(
    _ conninfo: String, options: PostgresOptions = .init(), channels: [String], bufferLimit: Int = 1024,
    backoff: Backoff = .init()
  ) {
    self.conninfo = conninfo
    self.options = options
    self.channels = channels
    self.backoff = backoff
    buffer = NotificationBuffer(limit: bufferLimit)
  }

  /// What was heard.
  public var events: Events { Events(buffer: buffer) }

  /// Listens until the task is cancelled, then throws `CancellationError`.
  ///
  /// Throws `PostgresError` for what no new try can mend, such as a wrong password; does not throw for a server that is
  /// down. Call it once.
  public func run() async throws {
    defer { buffer.finish() }
    var failures = 0
    while true {
      do {
        let connection = try await listen()
        failures = 0
        do {
          try await connection.waitUntilBroken()
        } catch {
          await connection.close()
          throw error
        }
      } catch let error as PostgresError where error.isWorthReconnecting {}
      failures += 1
      try await backoff.wait(backoff.delay(afterFailures: failures))
    }
  }

  private func listen() async throws -> PostgresConnection {
    let connection = try await PostgresConnection.connect(conninfo, options: options)
    do {
      for channel in channels {
        try await connection.execute("LISTEN \(identifier: channel)")
      }
    } catch {
      await connection.close()
      throw error
    }
    buffer.push(.reconnected)
    await connection.onNotification { [buffer] in buffer.push(.notification($0)) }
    return connection
  }
}
