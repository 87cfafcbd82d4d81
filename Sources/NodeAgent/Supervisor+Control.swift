import CLinux
import Domain
import Glibc
import ObjectStorage
import Wire

extension Supervisor {
  /// Notes the epoch of who commands; a text where a newer controller was here.
  static func admit(_ epoch: Int64, _ node: NodeFolder) -> String? {
    do {
      let lock = try FileLock(node.state + ".lock")
      defer { withExtendedLifetime(lock) {} }
      var state = try NodeState.load(node)
      let before = state
      if let refusal = state.admit(controllerEpoch: epoch) { return refusal }
      if state != before { try state.save(node) }
      return nil
    } catch {
      return "the node cannot tell which controller is in charge: \(error)"
    }
  }

  func handle(_ command: ControlCommand) -> AgentReply {
    switch command {
    case .launch(let port, let rankPorts):
      switch phase {
      case .staging: return .refused("not everything is staged yet: wait for the journal's 'staged'")
      case .staged: launch(masterPort: port, rankPorts: rankPorts ?? [])
      default: break
      }
      return .ok
    case .checkpoint:
      guard case .running = phase else { return .refused("no rank runs, so there is nothing to save") }
      guard order.saveSignal?.number != nil || order.saveSignal == nil else {
        return .refused("the program saves by itself, and cannot be asked to")
      }
      ask()
      return .ok
    case .stop(let cause):
      stop(cause)
      return .ok
    case .kill(let cause):
      killNow(cause)
      return .ok
    case .deadline(let remaining, _, let access):
      end = .now() + remaining
      if let access { store = access.open(pacing: Self.pacing(telling: mailbox)) }
      return .ok
    case .lastSave(let lead):
      rule.isTold(lead)
      tellPlan()
      return .ok
    case .peers(let ports):
      exchange?.peersServe(on: ports)
      return .ok
    case .mpiDaemon(let command):
      return startMPIDaemon(command)
    }
  }

  /// SIGTERM, grace, SIGKILL, upload, end; the first cause counts.
  ///
  /// Where all ranks only serve a chief, they are left alone until that is gone, or the grace is over. May be told again
  /// at any time.
  func stop(_ cause: StopCause) {
    switch phase {
    case .staging, .staged:
      outcome.stopped = cause
      for task in background { task.cancel() }
      phase = .saving
      endSetup()
    case .running:
      guard keeper?.isOver != true else { break }
      if outcome.stopped == nil {
        outcome.stopped = cause
        note(.stopping(cause))
        lostPeer = lostPeer || cause == .gangFailed && terminated == nil
        leavingSince = .now()
        keeper?.leaves(at: .now())
      }
      if cause == .chiefGone {
        release()
      } else if saveAwaitedUntil == nil {
        // Once more when what is being saved is complete, or no time is left for it.
        terminate()
      }
    case .saving, .recording, .over:
      break
    }
  }

  private func killNow(_ cause: StopCause) {
    if case .over = phase { return }
    outcome.stopped = outcome.stopped ?? cause
    isKilled = true
    for task in background { task.cancel() }
    if case .running = phase {
      killTree()
    } else {
      dropUploads()
      phase = .saving
      endSetup()
    }
  }
}
