import CSSH2
import Dispatch
import Glibc

/// One SSH session: its socket, its libssh2 session and its channels.
///
/// An actor on a serial queue of its own (`QueueExecutor`). Readiness of the socket, the timer and every call run on
/// that queue, so libssh2 never sees two threads in one session, and nothing ever blocks: a session that waits
/// costs no thread. Everything that happens ends in `pump`, which offers each part of the session one step until no
/// part makes progress. See `WireBuffers` for how libssh2 is kept from the socket.
actor SessionCore {
  enum Phase {
    /// Not connected yet. -> connected, closed
    case connecting
    /// Authenticated: channels may open. -> closed
    case ready
    /// Over, for this reason.
    case closed(SSHError)
  }

  /// The handshake's current step, tried again on every event until it is done.
  struct PendingStep {
    let id: Int
    let deadline: DispatchTime
    let timeoutCode: SSHError.Code
    let attempt: () -> StepOutcome
    let waiter: CheckedContinuation<Void, any Error>
  }

  enum StepOutcome {
    case again
    case done
    case failed(SSHError)
  }

  /// Above this many unsent bytes no further channel data is encrypted.
  static let outboundHighWater = 512 << 10
  /// A writer is let on when no more than this waits on its channel.
  static let inputLowWater = 512 << 10
  /// More than this, left lying by libssh2, is more than an honest server sends to a session that awaits nothing.
  static let inboundLimit = 1 << 20

  nonisolated let executor: QueueExecutor
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
  nonisolated let endpoint: SSHEndpoint
  nonisolated let settings: SSHSettings
  nonisolated let load = SessionLoad()

  let wire = WireBuffers()
  var phase = Phase.connecting
  var session: OpaquePointer?
  var socket: SocketWatch?
  var isConnected = false
  var connectFailure: Int32?
  var step: PendingStep?
  var channels: [Int: Channel] = [:]
  var queued: [Channel] = []
  var opener: Channel?
  var lastID = 0

  var timer: (any DispatchSourceTimer)?
  var armed: DispatchTime?
  var lastHeard = DispatchTime.now()
  var lastKeepalive = DispatchTime(uptimeNanoseconds: 0)
  var idleSince = DispatchTime.now()

  init(endpoint: SSHEndpoint, settings: SSHSettings) {
    self.endpoint = endpoint
    self.settings = settings
    executor = QueueExecutor(label: "ssh \(endpoint)")
  }

  func nextID() -> Int {
    lastID += 1
    return lastID
  }

  // MARK: Steps of the handshake

  /// Tries `attempt` now and after every event until it is done, fails, or `limit` is over.
  ///
  /// A failed, late or cancelled step closes the session: libssh2 cannot go back in a handshake.
  func perform(
    _ timeoutCode: SSHError.Code, within limit: Duration, _ attempt: @escaping () -> StepOutcome
  ) async throws {
    if case .closed(let reason) = phase { throw reason }
    let id = nextID()
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { waiter in
        step = PendingStep(
          id: id, deadline: limit.fromNow, timeoutCode: timeoutCode, attempt: attempt, waiter: waiter)
        armTimer()
        pump()
      }
    } onCancel: {
      executor.queue.async { self.assumeIsolated { $0.cancelStep(id) } }
    }
  }

  func cancelStep(_ id: Int) {
    guard let step, step.id == id else { return }
    self.step = nil
    step.waiter.resume(throwing: CancellationError())
    close(because: SSHError(.closed, endpoint: endpoint))
  }

  func pumpStep() {
    guard let step else { return }
    switch step.attempt() {
    case .again: return
    case .done:
      self.step = nil
      step.waiter.resume()
    case .failed(let error):
      close(because: error)
    }
  }

  // MARK: Socket

  /// Takes over a socket that is connecting.
  func watch(_ descriptor: Int32) {
    socket = SocketWatch(
      descriptor, queue: executor.queue,
      readable: { [weak self] in self?.assumeIsolated { $0.readable() } },
      writable: { [weak self] in self?.assumeIsolated { $0.writable() } })
    isConnected = false
    connectFailure = nil
    socket?.watchesWriting = true
  }

  func writable() {
    guard let socket else { return }
    if !isConnected {
      var number: Int32 = 0
      var size = socklen_t(MemoryLayout<Int32>.size)
      if getsockopt(socket.descriptor, SOL_SOCKET, SO_ERROR, &number, &size) != 0 { number = errno }
      socket.watchesWriting = false
      if number == 0 {
        isConnected = true
        lastHeard = .now()
        socket.watchesReading = true
      } else {
        connectFailure = number
      }
    }
    pump()
  }

  func readable() {
    guard let socket, !wire.isEnded else { return }
    for _ in 0..<8 {
      let size = 64 << 10
      let count = recv(socket.descriptor, wire.inbound.reserve(size), size, 0)
      if count > 0 {
        wire.inbound.commit(count)
        lastHeard = .now()
        if count < size { break }
      } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
        wire.isEnded = true
        socket.watchesReading = false
        break
      } else {
        break
      }
    }
    pump()
    // Nothing is taken in before the handshake's turn has come, nor while no channel is there to do it.
    if wire.inbound.count > Self.inboundLimit {
      close(because: SSHError(.disconnected, endpoint: endpoint, detail: "the server sent what nobody asked for"))
    }
  }

  /// Sends what waits; what the socket does not take is sent when it can.
  func flush() {
    guard let socket, isConnected else { return }
    while !wire.outbound.isEmpty {
      let bytes = wire.outbound.readable
      let count = send(socket.descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
      if count > 0 {
        wire.outbound.consume(count)
      } else if errno == EAGAIN {
        break
      } else if errno != EINTR {
        // The reading side learns the same, after it has taken what the server said last.
        wire.outbound.consume(wire.outbound.count)
        break
      }
    }
    socket.watchesWriting = !wire.outbound.isEmpty
  }

  // MARK: The end

  /// Ends the session and everyone who waits on it.
  ///
  /// Only the first reason counts.
  func close(because reason: SSHError) {
    if case .closed = phase { return }
    phase = .closed(reason)
    load.update { $0.isClosed = true }
    step?.waiter.resume(throwing: reason)
    step = nil
    for channel in channels.values {
      channel.finish(.failure(reason), endpoint: endpoint)
      channel.phase = .gone
      channel.handle = nil
    }
    queued = []
    opener = nil
    timer?.cancel()
    timer = nil
    releaseSession()
    socket?.cancel()
    socket = nil
  }

  private func releaseSession() {
    guard let session else { return }
    self.session = nil
    if case .closed(let reason) = phase, reason.code == .closed, !wire.isEnded {
      _ = baton_ssh2_session_disconnect(session, "done")
      flush()
    }
    // From here on sends succeed into nothing and receives report the end, so freeing cannot wait for the server.
    wire.isSevered = true
    wire.isEnded = true
    wire.inbound.consume(wire.inbound.count)
    while libssh2_session_free(session) == LIBSSH2_ERROR_EAGAIN {}
  }

  /// What libssh2 said last.
  func lastMessage() -> String {
    guard let session else { return "" }
    var text: UnsafeMutablePointer<CChar>?
    var length: Int32 = 0
    libssh2_session_last_error(session, &text, &length, 0)
    guard let text else { return "" }
    return String(decoding: UnsafeRawBufferPointer(start: text, count: Int(length)), as: UTF8.self)
  }
}
