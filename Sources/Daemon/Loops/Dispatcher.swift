import Domain
import Logging
import Store

/// Keeps a driver for every attempt that is not over: also for those that an earlier controller began.
struct Dispatcher: Sendable {
  private static let patience = Duration.seconds(10)
  private static let pauseAfterError = Duration.seconds(1)

  let services: Services
  let epoch: ControllerEpoch

  /// Dispatches until cancelled; drivers are cancelled with it, and what they drive goes on without them.
  func run() async {
    let bell = Bell()
    let token = services.hub.listen { change in
      switch change {
      case .attempt, .everything: bell.ring()
      default: break
      }
    }
    defer { token.cancel() }
    let driven = DrivenAttempts()
    await withDiscardingTaskGroup { group in
      while !Task.isCancelled {
        var pause = Self.patience
        do {
          let live = try await services.store.liveAttempts()
          driven.keep(Set(live.map(\.id)))
          for attempt in live where driven.begin(attempt.id, at: .now) {
            group.addTask {
              await drive(attempt, driven)
              // Whether it is over or its driver failed is seen at the next look.
              bell.ring()
            }
          }
          let now = ContinuousClock.now
          if let nextTry = driven.nextTry(after: now) { pause = min(pause, nextTry - now) }
        } catch {
          services.logger.warning("dispatcher: \(error)")
          pause = Self.pauseAfterError
        }
        await bell.sleep(atMost: pause)
      }
      group.cancelAll()
    }
  }

  /// A driver begins anew from the journals: what was done is not done twice, but a tight loop would help nobody.
  private func drive(_ attempt: AttemptRecord, _ driven: DrivenAttempts) async {
    let began = ContinuousClock.now
    do {
      try await AttemptDriver.drive(attempt, services, epoch)
      driven.end(attempt.id)
    } catch {
      let isNews = driven.fail(attempt.id, ranFrom: began, until: .now, jitter: .random(in: 0...1))
      if Task.isCancelled { return }
      services.logger.warning("driver of \(attempt.id): \(error)")
      if isNews { await tell(of: attempt, error) }
    }
  }

  private func tell(of attempt: AttemptRecord, _ error: any Error) async {
    do {
      let reason = "\(attempt.id) goes on without the controller, which tries again: \(error)"
      _ = try await services.store.recordTrouble(of: attempt.job, reason, by: epoch)
    } catch {
      services.logger.warning("dispatcher: the trouble with \(attempt.id) could not be written down: \(error)")
    }
  }
}
