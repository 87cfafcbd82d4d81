import Dispatch
import Glibc
import TestKit
import Testing

@testable import SSH

/// What a server sends while nobody takes it in.
@Suite(.timeLimit(.minutes(2)))
struct UnreadTests {
  @Test func anIdleSessionWithUnreadBytesNoticesItsEnd() async throws {
    var settings = SSHSettings()
    settings.keepaliveInterval = .seconds(3600)
    // sshd tells its host keys after the login, and asks for a sign of life: nobody takes that in without a channel.
    try await SSHDFixture.with(extraConfig: ["ClientAliveInterval 1", "ClientAliveCountMax 100"]) { server in
      let connection = try await SSHConnection.connect(
        to: server.endpoint, hostKey: server.hostKey, identity: server.identity, settings: settings)
      while await connection.core.unreadBytes == 0 { await Task.yield() }
      server.stop()
      while await !connection.core.hasHeardTheEnd { await Task.yield() }
      #expect(!connection.isOpen)
    }
  }

  @Test func aServerThatFloodsAnUnreadSessionIsLeft() async throws {
    let server = try FloodingServer()
    let core = SessionCore(endpoint: server.endpoint, settings: SSHSettings())
    async let flood = server.flood(upTo: 256 << 20)
    // Its turn to shake hands does not come; what was sent may be too much even before it stands in line.
    do {
      try await core.connect()
    } catch let error as SSHError where error.code == .disconnected {}
    #expect(await flood < 64 << 20)
    #expect(core.load.current.isClosed)
  }
}

extension SessionCore {
  fileprivate var unreadBytes: Int { wire.inbound.count }
  fileprivate var hasHeardTheEnd: Bool { wire.isEnded }
}

/// A server that greets its first client and then sends as much as it takes.
private final class FloodingServer: Sendable {
  let endpoint: SSHEndpoint
  private let listener: Int32

  init() throws {
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = inet_addr("127.0.0.1")
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isListening = withUnsafeMutableBytes(of: &name) { [listener] bytes -> Bool in
      guard let place = bytes.assumingMemoryBound(to: sockaddr.self).baseAddress else { return false }
      return bind(listener, place, size) == 0 && listen(listener, 1) == 0 && getsockname(listener, place, &size) == 0
    }
    try #require(isListening)
    endpoint = SSHEndpoint(host: "127.0.0.1", port: UInt16(bigEndian: name.sin_port), user: "nobody")
  }

  deinit { close(listener) }

  /// How many bytes the client's side took until it was gone.
  func flood(upTo limit: Int) async -> Int {
    await withCheckedContinuation { continuation in
      DispatchQueue(label: "flood").async { [self] in
        let client = accept(listener, nil, nil)
        defer { close(client) }
        var chunk = Array("SSH-2.0-flood\r\n".utf8)
        var sent = 0
        while sent < limit {
          let count = send(client, chunk, chunk.count, Int32(MSG_NOSIGNAL))
          guard count > 0 else { break }
          sent += count
          chunk = [UInt8](repeating: 0, count: 64 << 10)
        }
        continuation.resume(returning: sent)
      }
    }
  }
}
