import Domain
import Synchronization
import Wire

/// What is seen of running attempts and not worth a row: how far staging is, when the last save will be,
/// and what keeps the newest checkpoint from the store.
///
/// Lost with the process, on purpose.
final class LiveProgress: Sendable {
  /// The last save of an attempt before its lease's end.
  struct LastSavePlan: Hashable, Sendable {
    /// So long before the end it begins.
    var lead: TimeSpan
    /// So long before the end it is forecast to be durable; nil while nothing was measured.
    var doneBefore: TimeSpan?
  }

  private let troubles = Mutex<[AttemptID: [Int: CheckpointTrouble]]>([:])
  private let plans = Mutex<[AttemptID: [Int: LastSavePlan]]>([:])
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

  /// When the last save of `attempt` begins on the node that begins first; nil where none has told.
  func lastSave(of attempt: AttemptID) -> LastSavePlan? {
    plans.withLock { $0[attempt]?.values.max { $0.lead < $1.lead } }
  }

  /// Notes what node `rank` plans.
  func note(_ plan: LastSavePlan, for attempt: AttemptID, rank: Int) {
    plans.withLock { $0[attempt, default: [:]][rank] = plan }
  }

  /// What keeps the newest checkpoint of `attempt` from the store; nil where nothing does.
  func checkpointTrouble(of attempt: AttemptID) -> CheckpointTrouble? {
    troubles.withLock { $0[attempt]?.max { ($0.value.step, $1.key) < ($1.value.step, $0.key) }?.value }
  }

  /// Notes what node `rank` has trouble with.
  func note(_ trouble: CheckpointTrouble, for attempt: AttemptID, rank: Int) {
    troubles.withLock { $0[attempt, default: [:]][rank] = trouble }
  }

  /// The checkpoint of `step` is in the store: it, and what was before it, is no trouble any more.
  func stored(step: Int, of attempt: AttemptID) {
    troubles.withLock { troubles in troubles[attempt] = troubles[attempt]?.filter { $0.value.step > step } }
  }

  /// Nothing of `attempt` is worth knowing any more.
  func forget(_ attempt: AttemptID) {
    plans.withLock { $0[attempt] = nil }
    troubles.withLock { $0[attempt] = nil }
  }
}
