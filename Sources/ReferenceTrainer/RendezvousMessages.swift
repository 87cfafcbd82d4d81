import FoundationEssentials
import Glibc

/// Who a rank is, and in which execution of which run.
struct RankIdentity: Codable, Equatable, Sendable {
  /// Baton's id of the run; empty without Baton.
  var run: String
  /// Baton's number of the attempt.
  var attempt: String
  var rank: Int
  var worldSize: Int
  /// Hash of all that must be equal on every rank: data, settings, the step to start from.
  var fingerprint: String
}

/// What a rank tells rank 0 first.
struct Registration: Codable, Sendable {
  var identity: RankIdentity
  /// Where its ring neighbour can reach it.
  var address: Socket.Address
}

/// What rank 0 answers.
struct RendezvousReply: Codable, Sendable {
  /// Set when the caller may join.
  var table: Table?
  /// Set when it may not.
  var refusal: Refusal?

  struct Table: Codable, Sendable {
    /// Drawn for this rendezvous; a neighbour shows it.
    var session: String
    /// Where each rank listens, in the order of the ranks.
    var addresses: [Socket.Address]
  }

  struct Refusal: Codable, Sendable {
    var reason: String
    /// The attempt rank 0 belongs to, so that a caller can tell that rank 0 is the stale one.
    var run: String
    var attempt: String
  }
}

/// What a rank tells the next one in the ring.
struct NeighbourHello: Codable, Sendable {
  var session: String
  var rank: Int
}

/// Lines of JSON over a socket, bounded, as a peer may be anything that found the port.
final class LineChannel {
  let socket: Socket
  private var received: [UInt8] = []
  private static let longestLine = 1 << 20

  init(_ socket: Socket) {
    self.socket = socket
  }

  /// Takes in what has arrived; returns a whole line as a `Message`, or nil if it is not complete yet.
  ///
  /// Reads byte by byte and never past the line: in the ring, numbers may follow at once.
  ///
  /// - Throws: `EPROTO` for anything that is no such line, `ECONNRESET` at the end of the stream.
  func receive<Message: Decodable>(_ type: Message.Type) throws(Socket.Failure) -> Message? {
    var byte: UInt8 = 0
    while byte != UInt8(ascii: "\n") {
      guard received.count < Self.longestLine else { throw Socket.Failure(number: EPROTO) }
      var outcome: Result<Int, Socket.Failure> = .success(0)
      withUnsafeMutableBytes(of: &byte) { bytes in
        do throws(Socket.Failure) {
          outcome = .success(try socket.receive(bytes))
        } catch {
          outcome = .failure(error)
        }
      }
      guard try outcome.get() == 1 else { return nil }
      received.append(byte)
    }
    do {
      return try JSONDecoder().decode(type, from: Data(received))
    } catch {
      throw Socket.Failure(number: EPROTO)
    }
  }

  /// Sends one line, waiting for room until `patience` ends.
  func send(_ message: some Encodable, _ patience: Patience) throws(Socket.Failure) {
    let line: [UInt8]
    do {
      line = Array(try JSONEncoder().encode(message)) + [UInt8(ascii: "\n")]
    } catch {
      throw Socket.Failure(number: EPROTO)
    }
    let deadline = patience.deadline()
    var sent = 0
    while sent < line.count {
      var failure: Socket.Failure?
      sent += line[sent...].withUnsafeBytes { bytes in
        do throws(Socket.Failure) {
          return try socket.send(bytes)
        } catch {
          failure = error
          return 0
        }
      }
      if let failure { throw failure }
      guard sent < line.count else { return }
      var sockets = [Readiness(descriptor: socket.descriptor, wantsToWrite: true)]
      if !wait(for: &sockets, until: deadline), ContinuousClock.now >= deadline {
        throw Socket.Failure(number: ETIMEDOUT)
      }
    }
  }
}
