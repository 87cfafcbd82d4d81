import Dispatch

/// Runs an actor on a serial dispatch queue, so that its jobs and the handlers of its dispatch sources exclude one
/// another.
///
/// The queue sits on the global one and not on a thread of its own: many sessions share few threads.
final class QueueExecutor: SerialExecutor {
  let queue: DispatchQueue

  init(label: String) {
    queue = DispatchQueue(label: label, target: .global())
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }

  func checkIsolated() {
    dispatchPrecondition(condition: .onQueue(queue))
  }
}
