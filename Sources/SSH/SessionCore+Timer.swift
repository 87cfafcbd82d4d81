import CSSH2
import Dispatch

extension SessionCore {
  func startTimer() {
    let timer = DispatchSource.makeTimerSource(queue: executor.queue)
    timer.setEventHandler { @Sendable [weak self] in self?.assumeIsolated { $0.timerFired() } }
    timer.schedule(deadline: .distantFuture)
    timer.activate()
    self.timer = timer
  }

  /// Makes the timer fire no later than the earliest limit.
  ///
  /// It may fire early and then just waits on.
  func armTimer() {
    guard let timer, let next = nextDeadline() else { return }
    if let armed, armed <= next { return }
    armed = next
    timer.schedule(deadline: next, leeway: .milliseconds(2))
  }

  private func nextDeadline() -> DispatchTime? {
    var all = channels.values.compactMap(\.nextDeadline)
    if let step { all.append(step.deadline) }
    if case .ready = phase {
      all.append(max(lastHeard, lastKeepalive) + settings.silenceInterval)
      if let idle = settings.idleTimeout, channels.isEmpty { all.append(idleSince + idle) }
    }
    return all.min()
  }

  func timerFired() {
    armed = nil
    let now = DispatchTime.now()
    if let step, step.deadline <= now {
      close(because: SSHError(step.timeoutCode, endpoint: endpoint))
      return
    }
    for channel in channels.values { checkDeadline(of: channel, now) }
    if case .ready = phase { checkSilence(now) }
    if case .ready = phase { checkIdleness(now) }
    pump()
    armTimer()
  }

  private func checkDeadline(of channel: Channel, _ now: DispatchTime) {
    guard channel.outcome == nil else { return }
    if let limit = channel.phaseDeadline, limit <= now {
      // A server that cannot even answer a request is not going to serve the others either.
      let step: SSHError.Step = channel.phase == .opening ? .channelOpen : .execRequest
      close(because: SSHError(.timeout(step), endpoint: endpoint))
    } else if let limit = channel.deadline, limit <= now {
      abandon(channel, because: SSHError(.timeout(.exec), endpoint: endpoint))
    }
  }

  private func checkSilence(_ now: DispatchTime) {
    let limit = settings.silenceInterval * (settings.keepaliveMisses + 1)
    if lastHeard + limit <= now {
      let detail = "no sign of life for \(limit)"
      close(because: SSHError(.timeout(.keepalive), endpoint: endpoint, detail: detail))
    } else if max(lastHeard, lastKeepalive) + settings.silenceInterval <= now, let session {
      lastKeepalive = now
      var next: Int32 = 0
      libssh2_keepalive_send(session, &next)
    }
  }

  private func checkIdleness(_ now: DispatchTime) {
    guard let idle = settings.idleTimeout, channels.isEmpty, idleSince + idle <= now else { return }
    if load.closeIfIdle() {
      close(because: SSHError(.closed, endpoint: endpoint, detail: "idle"))
    } else {
      idleSince = now
    }
  }
}
