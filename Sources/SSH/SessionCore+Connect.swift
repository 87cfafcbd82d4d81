import CSSH2
import Dispatch
import Glibc

/// libssh2's one-time set-up.
///
/// Nil, or its error code.
private let libraryFailure: Int32? = {
  let code = libssh2_init(0)
  return code == 0 ? nil : code
}()

extension SessionCore {
  /// Resolves and connects, and waits until the server has said something: from then on it costs work to go on.
  func connect() async throws {
    let limit = settings.connectTimeout
    let resolution = Resolution()
    let (host, port, queue) = (endpoint.host, endpoint.port, executor.queue)
    // A queue with a thread of its own: those of the global queue carry every session.
    DispatchQueue(label: "ssh resolve").async {
      let result = SocketAddress.resolve(host, port: port)
      queue.async { self.assumeIsolated { $0.resolved(result, resolution) } }
    }
    startTimer()
    var remaining: [SocketAddress]?
    var lastFailure: Int32?
    try await perform(.connectTimeout, within: limit) { [endpoint] in
      if self.isConnected { return .done }
      if let failure = self.connectFailure {
        lastFailure = failure
        self.connectFailure = nil
        self.socket?.cancel()
        self.socket = nil
      }
      if self.socket != nil { return .again }
      if remaining == nil {
        switch resolution.result {
        case nil: return .again
        case .failure(let failure):
          return .failed(SSHError(.resolveFailed, endpoint: endpoint, detail: failure.message))
        case .success(let addresses): remaining = addresses
        }
      }
      while let address = remaining?.first {
        remaining?.removeFirst()
        switch address.beginConnect() {
        case .success(let descriptor):
          self.watch(descriptor)
          return .again
        case .failure(let failure): lastFailure = failure.number
        }
      }
      return .failed(self.connectError(lastFailure))
    }
    try await perform(.handshakeTimeout, within: settings.handshakeTimeout) { [endpoint] in
      if !self.wire.inbound.isEmpty { return .done }
      guard self.wire.isEnded else { return .again }
      let detail = "the server closed the connection at once"
      return .failed(SSHError(.handshakeFailed, endpoint: endpoint, detail: detail))
    }
  }

  /// Where the name service's answer waits for the connecting step.
  ///
  /// Confined to the session's queue.
  final class Resolution: @unchecked Sendable {
    var result: Result<[SocketAddress], ResolveFailure>?
  }

  private func resolved(_ result: Result<[SocketAddress], ResolveFailure>, _ resolution: Resolution) {
    resolution.result = result
    pump()
  }

  private func connectError(_ number: Int32?) -> SSHError {
    guard let number else { return SSHError(.connectFailed, endpoint: endpoint) }
    let detail = SystemFailure(number: number).message
    switch number {
    case ECONNREFUSED: return SSHError(.connectRefused, endpoint: endpoint, detail: detail)
    case ETIMEDOUT: return SSHError(.connectTimeout, endpoint: endpoint, detail: detail)
    default: return SSHError(.connectFailed, endpoint: endpoint, detail: detail)
    }
  }

  /// Exchanges keys and returns the key the server presents, preferably one of `preferredType`.
  ///
  /// Does not judge it.
  func handshake(preferring preferredType: String?) async throws -> HostKey {
    guard libraryFailure == nil, let session = baton_ssh2_session_init(Unmanaged.passUnretained(wire).toOpaque())
    else {
      throw SSHError(.handshakeFailed, endpoint: endpoint, detail: "libssh2 does not start")
    }
    self.session = session
    wire.attach(to: session)
    libssh2_session_set_blocking(session, 0)
    let types = HostKey.supportedTypes.filter { $0 == preferredType } + HostKey.supportedTypes
    var unique: [String] = []
    for type in types where !unique.contains(type) { unique.append(type) }
    let ciphers = "aes128-ctr,aes256-ctr,aes192-ctr"
    let macs = "hmac-sha2-256,hmac-sha2-512"
    let preferences: [(Int32, String)] = [
      (LIBSSH2_METHOD_HOSTKEY, unique.joined(separator: ",")),
      (LIBSSH2_METHOD_CRYPT_CS, ciphers), (LIBSSH2_METHOD_CRYPT_SC, ciphers),
      (LIBSSH2_METHOD_MAC_CS, macs), (LIBSSH2_METHOD_MAC_SC, macs),
    ]
    for (method, list) in preferences where libssh2_session_method_pref(session, method, list) != 0 {
      let error = SSHError(.handshakeFailed, endpoint: endpoint, detail: lastMessage())
      close(because: error)
      throw error
    }
    try await perform(.handshakeTimeout, within: settings.handshakeTimeout) {
      guard let socket = self.socket else { return .again }
      let code = libssh2_session_handshake(session, socket.descriptor)
      if code == LIBSSH2_ERROR_EAGAIN { return .again }
      return code == 0 ? .done : .failed(self.handshakeError())
    }
    wire.keepsGreeting = false
    var length = 0
    var type: Int32 = 0
    guard let bytes = libssh2_session_hostkey(session, &length, &type),
      let key = HostKey(blob: [UInt8](UnsafeRawBufferPointer(start: bytes, count: length)))
    else {
      let error = SSHError(.handshakeFailed, endpoint: endpoint, detail: "the server showed no host key")
      close(because: error)
      throw error
    }
    return key
  }

  private func handshakeError() -> SSHError {
    if let offered = ServerGreeting.hostKeyTypes(in: wire.greeting),
      !offered.contains(where: HostKey.supportedTypes.contains)
    {
      return SSHError(.hostKeyUnsupported(offered: offered), endpoint: endpoint, detail: lastMessage())
    }
    return SSHError(.handshakeFailed, endpoint: endpoint, detail: lastMessage())
  }

  /// Logs in.
  ///
  /// Throws `.keyUnsupported` and `.keyUnreadable` before the server sees anything.
  func authenticate(_ key: [UInt8], passphrase: String?) async throws {
    guard let session else { throw SSHError(.closed, endpoint: endpoint) }
    let user = endpoint.user
    try await perform(.timeout(.authentication), within: settings.authenticationTimeout) { [endpoint] in
      let code = key.withUnsafeBytes { bytes in
        libssh2_userauth_publickey_frommemory(
          session, user, user.utf8.count, nil, 0, bytes.assumingMemoryBound(to: CChar.self).baseAddress, bytes.count,
          passphrase)
      }
      switch code {
      case 0: return .done
      case LIBSSH2_ERROR_EAGAIN: return .again
      case LIBSSH2_ERROR_FILE, LIBSSH2_ERROR_KEYFILE_AUTH_FAILED, LIBSSH2_ERROR_METHOD_NONE:
        return .failed(SSHError(.keyUnreadable, endpoint: endpoint, detail: self.lastMessage()))
      case LIBSSH2_ERROR_AUTHENTICATION_FAILED, LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED:
        return .failed(SSHError(.authenticationFailed, endpoint: endpoint, detail: self.lastMessage()))
      default:
        return .failed(SSHError(.disconnected, endpoint: endpoint, detail: self.lastMessage()))
      }
    }
    // The interval here only has to be short: the session's own timer decides when a keepalive is due.
    libssh2_keepalive_config(session, 1, 1)
    phase = .ready
    idleSince = .now()
    armTimer()
  }
}

/// Reads the server's first packet, which is in clear text, to say why no common algorithm was found.
enum ServerGreeting {
  /// The host key types that the server offers (RFC 4253 section 7.1), or nil if the bytes are no such packet.
  static func hostKeyTypes(in bytes: [UInt8]) -> [String]? {
    var rest = ArraySlice(bytes)
    // Lines before the version are allowed (RFC 4253 section 4.2).
    while let end = rest.firstIndex(of: 0x0a) {
      let isVersion = rest.starts(with: Array("SSH-".utf8))
      rest = rest[(end + 1)...]
      guard isVersion else { continue }
      var packet = SSHStringReader(rest)
      // Length, padding length, SSH_MSG_KEXINIT, cookie; then the key exchange methods and the host key types.
      guard packet.uint32() != nil, packet.byte() != nil, packet.byte() == 20, packet.bytes(16) != nil,
        packet.string() != nil, let list = packet.text()
      else { return nil }
      return list.split(separator: ",").map(String.init)
    }
    return nil
  }
}
