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

  func contains(_ node: NodeID, _ path: String) -> Bool {
    state.withLock { $0.present[node] == path }
  }

  func forget(_ node: NodeID) {
    state.withLock { $0.present[node] = nil }
  }

  /// Runs `place` for a node once, whoever else asks meanwhile waits for the same run.
  ///
  /// Cancelling one who waits ends the run, so that a node which hangs holds nobody up; the others begin it again.
  func once(_ node: NodeID, _ path: String, _ place: @escaping @Sendable () async throws -> Void) async throws {
    while true {
      try Task.checkCancellation()
      let task = state.withLock { state in
        if let running = state.busy[node] { return running }
        let task = Task { try await place() }
        state.busy[node] = task
        return task
      }
      let result = await withTaskCancellationHandler {
        await task.result
      } onCancel: {
        task.cancel()
      }
      state.withLock { state in
        if state.busy[node] == task { state.busy[node] = nil }
        if case .success = result { state.present[node] = path }
      }
      if case .failure = result, task.isCancelled, !Task.isCancelled { continue }
      return try result.get()
    }
  }
}

/// The host key that each endpoint has to show, as the database has it.
final class PinnedKeys: Sendable {
  private let keys = Mutex<[SSHEndpoint: HostKey]>([:])

  func pin(_ node: NodeTarget) { keys.withLock { $0[node.endpoint] = node.hostKey } }

  func key(of endpoint: SSHEndpoint) -> HostKey? { keys.withLock { $0[endpoint] } }
}
