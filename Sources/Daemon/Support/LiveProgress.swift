import Domain
import Synchronization
import Wire

/// What is seen of running attempts and not worth a row: how far staging is.
///
/// Lost with the process, on purpose.
final class LiveProgress: Sendable {
  private let staging = Mutex<[JobID: JobView.StagingProgress]>([:])

  /// How far the staging of `job` is; nil when it does not stage.
  func staging(of job: JobID) -> JobView.StagingProgress? {
    staging.withLock { $0[job] }
  }

  /// Notes how far it is; nil when it no longer stages.
  ///
  /// Returns whether that is news.
  func note(_ progress: JobView.StagingProgress?, for job: JobID) -> Bool {
    staging.withLock { staging in
      guard staging[job] != progress else { return false }
      staging[job] = progress
      return true
    }
  }
}
