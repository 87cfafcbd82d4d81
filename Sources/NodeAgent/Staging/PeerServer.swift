import Dispatch
import Domain
import ObjectStorage
import Synchronization

/// Serves pieces to the other nodes of an exchange, on threads of its own.
///
/// Who does not prove the key within a few seconds is hung up on, and learns nothing.
final class PeerServer: Sendable {
  private struct State {
    var connections: [ObjectIdentifier: Connection] = [:]
    var isClosed = false
    var askedAt = BootInstant.now()
  }

  /// Connections at once; more are hung up on.
  static let connectionLimit = 64
  /// Who has said nothing yet has this long.
  static let greetingLimit = TimeSpan.seconds(5)
  /// A peer that is known may be silent this long.
  static let idleLimit = TimeSpan.minutes(5)
  /// No request waits longer than this for its piece.
  static let waitLimit = TimeSpan.seconds(20)

  private let listener: Listener
  private let key: ExchangeKey
  private let shelf: @Sendable (_ planID: [UInt8]) -> Shelf
  private let state = Mutex(State())

  var port: Int { listener.port }

  /// How long nobody who knows the key has asked for anything.
  var idleTime: TimeSpan { BootInstant.now() - state.withLock { $0.askedAt } }

  /// Serves what is on the shelves from now on.
  init(host: String, key: ExchangeKey, shelf: @escaping @Sendable (_ planID: [UInt8]) -> Shelf) throws(SystemError) {
    listener = try Listener(host: host)
    self.key = key
    self.shelf = shelf
    DispatchQueue(label: "baton.exchange").async { self.run() }
  }

  /// Hangs up on everybody.
  func close() {
    let open = state.withLock { state in
      state.isClosed = true
      return Array(state.connections.values)
    }
    listener.close()
    for connection in open { connection.hangUp() }
  }

  private func run() {
    while let connection = listener.accept() {
      let isWelcome = state.withLock { state in
        guard !state.isClosed, state.connections.count < Self.connectionLimit else { return false }
        state.connections[ObjectIdentifier(connection)] = connection
        return true
      }
      guard isWelcome else { continue }
      DispatchQueue(label: "baton.exchange.peer").async {
        // Whatever ends it, the peer finds out by itself.
        do { try self.serve(connection) } catch {}
        self.state.withLock { $0.connections[ObjectIdentifier(connection)] = nil }
      }
    }
  }

  private func serve(_ connection: Connection) throws(SystemError) {
    let nonce = PeerProtocol.nonce()
    try connection.send(PeerProtocol.greeting + nonce, until: .now() + Self.greetingLimit)
    var number: UInt64 = 0
    while true {
      let limit = number == 0 ? Self.greetingLimit : Self.idleLimit
      let bytes = try connection.receive(PeerProtocol.requestSize, until: .now() + limit)
      guard let request = PeerProtocol.Request(bytes, key, serverNonce: nonce), request.number == number else { return }
      number += 1
      state.withLock { $0.askedAt = .now() }
      let wait = min(Self.waitLimit, TimeSpan(microseconds: Int64(request.waitMilliseconds) * 1000))
      let given = shelf(request.plan).give(Int(request.piece), until: .now() + wait)
      let answer = PeerProtocol.answer(
        .init(given), given?.bytes ?? [], to: request, key, serverNonce: nonce)
      try connection.send(answer, until: .now() + Self.idleLimit)
    }
  }
}

extension PeerProtocol.Status {
  /// What is said with what is `given`.
  init(_ given: Shelf.Given?) {
    guard let given else {
      self = .notYet
      return
    }
    self = given.isSecondHand ? .secondHand : .piece
  }
}

extension PeerProtocol {
  /// Bytes that nobody can guess, and that never come twice.
  static func nonce() -> [UInt8] { (0..<nonceSize).map { _ in UInt8.random(in: .min ... .max) } }
}
