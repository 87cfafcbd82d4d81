import Domain
import Glibc
import Wire

/// Processes that serve others: helpers, and ranks of a job whose chief decides.
extension Supervisor {
  /// Whether nothing that runs here is waited for any more; what still runs is killed.
  var isRunOver: Bool {
    guard isAnyLeft else { return true }
    if released != nil { return isKilled || !helpers.contains { $0.end == nil && $0.ending == .whenTold } }
    let own = ranks.filter { !$0.serves }
    // Where all serve, the chief on another node may still need them: to save, too.
    if !ranks.isEmpty, own.isEmpty { return false }
    guard own.allSatisfy({ $0.end != nil }) else { return false }
    if isKilled { return true }
    // Ranks of other nodes may still need helpers of this one, as long as none was told to leave. Open MPI's end by
    // themselves with the last rank of all nodes, told or not, and ranks that save cannot do without.
    let isOrderly = outcome.stopped != nil && outcome.stopped != .gangFailed
    return terminated != nil && !(isOrderly && mpi != nil && !ranks.isEmpty)
  }

  var isAnyLeft: Bool {
    isAwaitingRanks || ranks.contains { $0.end == nil } || helpers.contains { $0.end == nil }
  }

  /// Whether the chief ran here, and is done.
  var isChiefDone: Bool {
    order.launcher.chiefDecides && terminated == nil && released == nil && !isKilled
      && ranks.contains { !$0.serves && $0.end == .exited(0) }
  }

  /// The chief is gone, here or on another node: what serves it is killed, and who may have something to finish is told,
  /// and has the grace for it.
  func release() {
    guard released == nil else { return }
    released = .now()
    for rank in ranks where rank.serves && rank.end == nil { kill(-rank.pid, SIGKILL) }
    for helper in helpers where helper.end == nil {
      switch helper.ending {
      case .never: kill(-helper.pid, SIGKILL)
      case .whenTold: Self.tellToLeave(helper.pid)
      case .byItself: break
      }
    }
  }

  /// SIGTERM to those processes of a tree that know what it means, or else to all of its group.
  static func tellToLeave(_ pid: pid_t) {
    let handlers = ProcessTable.topmostHandlers(of: SIGTERM, at: pid)
    if handlers.isEmpty { kill(-pid, SIGTERM) }
    for pid in handlers { kill(pid, SIGTERM) }
  }
}
