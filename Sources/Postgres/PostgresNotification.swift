/// What a `NOTIFY` said.
public struct PostgresNotification: Sendable, Hashable {
  /// The channel it was sent to.
  public var channel: String
  /// Its payload, at most 8000 bytes; empty when there was none.
  public var payload: String

  /// A notification of a channel.
  public init(channel: String, payload: String) {
    self.channel = channel
    self.payload = payload
  }
}
