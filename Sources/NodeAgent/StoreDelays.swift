import ObjectStorage
import Wire

/// Which waiting for the object store is worth a line in the journal: what lasts, and each reason once for a checkpoint.
struct StoreDelays: Hashable, Sendable {
  /// What is over sooner is nobody's concern.
  static let patience = Duration.seconds(3)
  /// For one checkpoint no more lines than this, however many reasons a store has.
  static let most = 8

  private var step: Int?
  private var told: Set<String> = []

  /// What is to be told of `step`, which is being stored; nil for nothing new.
  mutating func waits(_ step: Int, because reason: String) -> AgentEvent? {
    if self.step != step {
      self.step = step
      told = []
    }
    guard told.count < Self.most, told.insert(reason).inserted else { return nil }
    return .checkpointDelayed(step: step, reason: reason)
  }
}

extension Supervisor {
  /// The machine's time and chance, for stores that let the supervisor know when they keep it waiting.
  static func pacing(telling mailbox: Mailbox<Message>) -> Pacing {
    var pacing = Pacing.live
    pacing.hear = { error, lasting in
      if lasting >= StoreDelays.patience { mailbox.post(.storeWaits(reason: error.reason)) }
    }
    return pacing
  }

  /// The store keeps somebody waiting: while a checkpoint is being stored, that is what suffers.
  func storeWaits(_ reason: String) {
    guard let step = queue.current?.step, let event = delays.waits(step, because: reason) else { return }
    note(event)
  }
}
