import Domain
import Synchronization
import Wire

/// How far data is that is being brought to nodes ahead of the jobs that need it.
///
/// Lost with the process, on purpose.
final class AheadProgress: Sendable {
  private let nodes = Mutex<[NodeID: StagingAheadView]>([:])

  /// What is being brought to `node`; nil for nothing.
  func on(_ node: NodeID) -> StagingAheadView? {
    nodes.withLock { $0[node] }
  }

  /// What is being brought to `nodes`; nil for nothing.
  func on(_ nodes: [NodeID]) -> [StagingAheadView]? {
    let found = nodes.compactMap { on($0) }
    return found.isEmpty ? nil : found
  }

  /// Notes how far it is; nil when nothing is brought there any more.
  func note(_ progress: StagingAheadView?, on node: NodeID) {
    nodes.withLock { $0[node] = progress }
  }
}
