import Synchronization

/// A bounded queue between a listener and its one consumer, in which equal elements are one.
final class NotificationBuffer: Sendable {
  private typealias Consumer = CheckedContinuation<PostgresListener.Event?, Never>

  private struct Guarded {
    var pending: [PostgresListener.Event] = []
    var known: Set<PostgresListener.Event> = []
    var consumer: Consumer?
    var isFinished = false
  }

  private let limit: Int
  private let state = Mutex(Guarded())

  init(limit: Int) {
    self.limit = max(limit, 1)
  }

  func push(_ event: PostgresListener.Event) {
    let consumer = state.withLock { guarded -> Consumer? in
      guard !guarded.isFinished else { return nil }
      if let consumer = guarded.consumer {
        guarded.consumer = nil
        return consumer
      }
      guard guarded.known.insert(event).inserted else { return nil }
      guarded.pending.append(event)
      if guarded.pending.count > limit {
        guarded.pending = [.overflowed]
        guarded.known = [.overflowed]
      }
      return nil
    }
    consumer?.resume(returning: event)
  }

  func finish() {
    let consumer = state.withLock { guarded -> Consumer? in
      guarded.isFinished = true
      defer { guarded.consumer = nil }
      return guarded.consumer
    }
    consumer?.resume(returning: nil)
  }

  /// The oldest event; waits for one.
  ///
  /// Nil after `finish` when all were taken, and when the task is cancelled.
  func next() async -> PostgresListener.Event? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let (ready, replaced) = state.withLock { guarded -> (PostgresListener.Event??, Consumer?) in
          if Task.isCancelled { return (.some(nil), nil) }
          if !guarded.pending.isEmpty {
            let event = guarded.pending.removeFirst()
            guarded.known.remove(event)
            return (event, nil)
          }
          if guarded.isFinished { return (.some(nil), nil) }
          defer { guarded.consumer = continuation }
          return (nil, guarded.consumer)
        }
        // Only one consumer is promised anything; an earlier one ends rather than hangs.
        replaced?.resume(returning: nil)
        if let ready { continuation.resume(returning: ready) }
      }
    } onCancel: {
      let consumer = state.withLock { guarded -> Consumer? in
        defer { guarded.consumer = nil }
        return guarded.consumer
      }
      consumer?.resume(returning: nil)
    }
  }
}
