import Synchronization

/// The right to one channel's place on a session.
///
/// Ends once; letting it go ends it too.
final class SessionLease: Sendable {
  let connection: SSHConnection
  private let isHeld = Mutex(true)

  /// Nil when the session is closed or has no place.
  init?(_ connection: SSHConnection) {
    guard connection.core.load.lease(limit: connection.core.settings.channelLimit) else {
      isHeld.withLock { $0 = false }
      return nil
    }
    self.connection = connection
  }

  deinit { end() }

  func end() {
    let wasHeld = isHeld.withLock { held in
      defer { held = false }
      return held
    }
    if wasHeld { connection.core.load.update { $0.leases -= 1 } }
  }
}

/// A pool's book of sessions.
actor PoolCore {
  private struct Slot {
    enum State {
      /// -> ready, gone
      case connecting(Task<Void, Never>, waiters: [Int: CheckedContinuation<SessionLease, any Error>])
      /// -> gone
      case ready(SSHConnection)
    }
    let id: Int
    var state: State
  }

  private let settings: SSHSettings
  private let gate: Gate
  private let credentials: @Sendable (SSHEndpoint) async throws -> SSHCredentials
  private var slots: [SSHEndpoint: [Slot]] = [:]
  private var lastID = 0

  init(
    settings: SSHSettings, gate: Gate, credentials: @escaping @Sendable (SSHEndpoint) async throws -> SSHCredentials
  ) {
    self.settings = settings
    self.gate = gate
    self.credentials = credentials
  }

  var openSessions: Int {
    slots.values.joined().count { if case .ready(let connection) = $0.state { connection.isOpen } else { false } }
  }

  /// A place on a session: on an open one, on one that is connecting, or on a new one.
  func acquire(_ endpoint: SSHEndpoint) async throws -> SessionLease {
    try Task.checkCancellation()
    prune(endpoint)
    for slot in slots[endpoint] ?? [] {
      if case .ready(let connection) = slot.state, let lease = SessionLease(connection) { return lease }
    }
    lastID += 1
    let ticket = lastID
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { enqueue($0, ticket, endpoint) }
    } onCancel: {
      Task { await self.giveUp(ticket, endpoint) }
    }
  }

  /// Closes the sessions that match, and fails who waits for one.
  func close(_ matches: (SSHEndpoint) -> Bool) async {
    var connections: [SSHConnection] = []
    for (endpoint, list) in slots where matches(endpoint) {
      slots[endpoint] = nil
      for slot in list {
        switch slot.state {
        case .ready(let connection): connections.append(connection)
        case .connecting(let task, let waiters):
          task.cancel()
          for waiter in waiters.values { waiter.resume(throwing: SSHError(.closed, endpoint: endpoint)) }
        }
      }
    }
    for connection in connections { await connection.close() }
  }

  private func enqueue(
    _ waiter: CheckedContinuation<SessionLease, any Error>, _ ticket: Int, _ endpoint: SSHEndpoint
  ) {
    var list = slots[endpoint] ?? []
    for index in list.indices {
      if case .connecting(let task, var waiters) = list[index].state, waiters.count < settings.channelLimit {
        waiters[ticket] = waiter
        list[index].state = .connecting(task, waiters: waiters)
        slots[endpoint] = list
        return
      }
    }
    // Not the caller's child: others may come to wait for the same session, and outlive the caller.
    let task = Task { [settings, gate, credentials] in
      let result: Result<SSHConnection, any Error>
      do {
        let secret = try await credentials(endpoint)
        result = .success(
          try await SSHConnection.connect(
            to: endpoint, hostKey: secret.hostKey, identity: secret.identity, settings: settings, gate: gate))
      } catch {
        result = .failure(error)
      }
      self.connected(ticket, endpoint, result)
    }
    list.append(Slot(id: ticket, state: .connecting(task, waiters: [ticket: waiter])))
    slots[endpoint] = list
  }

  private func connected(_ id: Int, _ endpoint: SSHEndpoint, _ result: Result<SSHConnection, any Error>) {
    guard let index = slots[endpoint]?.firstIndex(where: { $0.id == id }),
      case .connecting(_, let waiters) = slots[endpoint]?[index].state
    else { return }
    switch result {
    case .success(let connection):
      slots[endpoint]?[index].state = .ready(connection)
      for waiter in waiters.values {
        if let lease = SessionLease(connection) {
          waiter.resume(returning: lease)
        } else {
          waiter.resume(throwing: SSHError(.disconnected, endpoint: endpoint))
        }
      }
      connection.core.load.update { $0.isPromised = false }
    case .failure(let error):
      slots[endpoint]?.remove(at: index)
      for waiter in waiters.values { waiter.resume(throwing: error) }
    }
  }

  private func giveUp(_ ticket: Int, _ endpoint: SSHEndpoint) {
    for index in (slots[endpoint] ?? []).indices {
      guard case .connecting(let task, var waiters) = slots[endpoint]?[index].state,
        let waiter = waiters.removeValue(forKey: ticket)
      else { continue }
      waiter.resume(throwing: CancellationError())
      if waiters.isEmpty {
        task.cancel()
        slots[endpoint]?.remove(at: index)
      } else {
        slots[endpoint]?[index].state = .connecting(task, waiters: waiters)
      }
      return
    }
  }

  /// Drops what is of no use for new leases.
  ///
  /// A session that still serves others ends with the last of them.
  private func prune(_ endpoint: SSHEndpoint) {
    slots[endpoint]?.removeAll {
      guard case .ready(let connection) = $0.state else { return false }
      let load = connection.core.load.current
      return load.isClosed || load.isRefusing || load.abandoned > settings.channelLimit / 2
    }
    if slots[endpoint]?.isEmpty == true { slots[endpoint] = nil }
  }
}
