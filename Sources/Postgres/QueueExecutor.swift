import Dispatch

/// Runs an actor's jobs on a serial queue of its own, where C calls may block.
///
/// The threads of Swift's cooperative pool are as many as there are cores; a private queue brings its own.
final class QueueExecutor: SerialExecutor {
  let queue: DispatchQueue

  init(label: String) {
    queue = DispatchQueue(label: label)
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }

  /// Lets code that a dispatch source runs on `queue` assume the actor's isolation.
  func checkIsolated() {
    dispatchPrecondition(condition: .onQueue(queue))
  }
}
