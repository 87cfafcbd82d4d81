import Domain
import SSH
import Synchronization

/// Which nodes are known to have the agent, so that a command costs one round trip and not two.
///
/// Only a memory: a node that lost its disk answers that there is no such file, and is then forgotten here.
final class PlacedAgents: Sendable {
  private struct State {
    var present: [NodeID: String] = [:]
    var busy: [NodeID: Task<Void, any Error>] = [:]
  }

  private let state = Mutex(State())

  func contains(_ node: NodeTarget, _ path: String) -> Bool {
    state.withLock { $0.present[node.id] == path }
  }

  func forget(_ node: NodeTarget) {
    state.withLock { $0.present[node.id] = nil }
  }

  /// Runs `place` for a node once, whoever else asks meanwhile waits for the same run.
  func once(_ node: NodeTarget, _ path: String, _ place: @escaping @Sendable () async throws -> Void) async throws {
    let task = state.withLock { state in
      if let running = state.busy[node.id] { return running }
      let task = Task { try await place() }
      state.busy[node.id] = task
      return task
    }
    let result = await task.result
    state.withLock { state in
      if state.busy[node.id] == task { state.busy[node.id] = nil }
      if case .success = result { state.present[node.id] = path }
    }
    try result.get()
  }
}

/// The host key that each endpoint has to show, as the database has it.
final class PinnedKeys: Sendable {
  private let keys = Mutex<[SSHEndpoint: HostKey]>([:])

  func pin(_ node: NodeTarget) { keys.withLock { $0[node.endpoint] = node.hostKey } }

  func key(of endpoint: SSHEndpoint) -> HostKey? { keys.withLock { $0[endpoint] } }
}
