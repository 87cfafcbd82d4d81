import Dispatch

/// Time limits and sizes of one connection.
///
/// The defaults suit nodes on the same continent.
public struct SSHSettings: Sendable, Hashable {
  /// Limit for resolving the name and for TCP to connect, together.
  public var connectTimeout: Duration = .seconds(10)
  /// Limit for the server's first line, and again for the key exchange.
  public var handshakeTimeout: Duration = .seconds(15)
  /// Limit for the server's verdict on the user key.
  public var authenticationTimeout: Duration = .seconds(15)
  /// Limit for the server to grant a channel.
  ///
  /// A server that misses it is taken for dead.
  public var channelOpenTimeout: Duration = .seconds(15)
  /// Limit for the server to start a command on a channel.
  ///
  /// A server that misses it is taken for dead.
  public var execRequestTimeout: Duration = .seconds(15)
  /// After this long without a byte from the server it is asked for a sign of life.
  ///
  /// Less than two seconds count as two: libssh2 asks no more often.
  public var keepaliveInterval: Duration = .seconds(15)
  /// The server is taken for dead after this many unanswered intervals.
  public var keepaliveMisses: Int = 3
  /// A connection without a channel and without a lease of a pool closes after this long.
  ///
  /// Nil: never.
  public var idleTimeout: Duration?
  /// Channels that may be open at once; further ones wait.
  ///
  /// OpenSSH's own limit is 10 by default.
  public var channelLimit: Int = 8
  /// Bytes of one channel that may be under way from the server, unread.
  public var channelWindow: Int = 1 << 20
  /// Bytes of one stream kept ready for a slow reader before the channel's window fills.
  public var streamBuffer: Int = 256 << 10

  /// The interval that really applies.
  var silenceInterval: Duration { max(keepaliveInterval, .seconds(2)) }

  /// The defaults.
  public init() {}
}

extension Duration {
  /// Whole nanoseconds, from none to some 30 years: beyond that a limit is no limit.
  var nanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    return UInt64(min(max(Double(seconds) * 1e9 + Double(attoseconds) / 1e9, 0), 1e18))
  }

  /// The moment this long from now, on the clock of Dispatch timers.
  var fromNow: DispatchTime { DispatchTime.now() + self }
}

extension DispatchTime {
  static func + (time: DispatchTime, duration: Duration) -> DispatchTime {
    DispatchTime(uptimeNanoseconds: time.uptimeNanoseconds + duration.nanoseconds)
  }
}
