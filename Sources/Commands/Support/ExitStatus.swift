import APIClient
import Domain
import Wire

/// Every exit status of `baton`.
///
/// Stable: scripts depend on it.
enum ExitStatus: Int32, Sendable, CaseIterable {
  /// Done; and, when a job was followed, it succeeded.
  case success = 0
  /// A check was made, and found trouble.
  case foundTrouble = 1
  /// The command line makes no sense.
  case usage = 64
  /// A job file, a name or another input is wrong.
  case badInput = 65
  /// The server does not answer.
  case unreachable = 69
  /// A mistake of Baton.
  case internalError = 70
  /// It contradicts something that exists.
  case conflict = 73
  /// Not now; later it may work.
  case tryLater = 75
  /// The token does not allow it.
  case denied = 77
  /// The client's settings cannot be used.
  case configuration = 78
  /// The job that was followed failed.
  case jobFailed = 100
  /// The job that was followed is not over.
  case jobNotFinished = 101
  /// There is no such job to follow.
  case jobNotFound = 102
  /// The job that was followed was cancelled.
  case jobCancelled = 103
  /// The job that was followed waits for its next lease.
  case jobWaitsForLease = 104
  /// The job that was followed ended with its lease, and nothing of it was saved.
  case jobLost = 105

  /// What it says, for people.
  var meaning: String {
    switch self {
    case .success: "done; with --wait or logs -f: the job succeeded"
    case .foundTrouble:
      "the check was made and found trouble (node check, lease drill, doctor, sweep, checkpoint verify, data verify, "
        + "stage and evict, run compare, reproduce and verify-resume, lab demo)"
    case .usage: "usage: the command line makes no sense"
    case .badInput: "bad input: a job file with mistakes, or no such thing"
    case .unreachable: "the server does not answer"
    case .internalError: "a mistake of Baton, or an answer of another version"
    case .conflict: "conflict: the calendar, or a name, is taken"
    case .tryLater: "try later: not in the state that things are in"
    case .denied: "denied: no token, or one that does not allow it"
    case .configuration: "configuration: the client's settings cannot be used"
    case .jobFailed: "following a job: it failed, or ran out of its time"
    case .jobNotFinished: "following a job: it is not over"
    case .jobNotFound: "following a job: there is no such job"
    case .jobCancelled: "following a job: it was cancelled"
    case .jobWaitsForLease: "following a job: it waits for the next lease, its checkpoint is safe"
    case .jobLost: "following a job: it ended with no valid checkpoint"
    }
  }

  /// The table that `baton help exit-codes` prints.
  static var table: String {
    allCases.map { status in
      let code = String(status.rawValue)
      return String(repeating: " ", count: 5 - code.count) + code + "  " + status.meaning
    }.joined(separator: "\n")
  }

  /// What a refusal of the server means for a script.
  init(_ code: APIFailure.Code) {
    self =
      switch code {
      case .badRequest, .badJobFile, .tooLarge, .notFound: .badInput
      case .unauthenticated, .denied: .denied
      case .conflict: .conflict
      case .wrongState, .unavailable: .tryLater
      case .internal, .unknown: .internalError
      }
  }

  /// What a failure of the client means for a script.
  init(_ failure: ClientFailure) {
    self =
      switch failure {
      case .unreachable, .interrupted, .timedOut: .unreachable
      case .refused(let refusal, _, _): ExitStatus(refusal.code)
      case .badAnswer: .internalError
      case .configuration: .configuration
      case .unreadableFile: .badInput
      }
  }

  /// How a job that was followed stands.
  init(following job: JobView) {
    self =
      switch job.state {
      case .completed: .success
      case .cancelled: .jobCancelled
      case .failed where job.checkpointStep == nil && Self.reasonsOfLoss.contains(job.reason): .jobLost
      case .failed, .timeout: .jobFailed
      case .leaseWait: .jobWaitsForLease
      case .pending, .held, .staging, .launching, .running, .checkpointing: .jobNotFinished
      }
  }

  /// Reasons of a failure that a checkpoint would have prevented.
  private static let reasonsOfLoss: Set<String> = ["LeaseEnded", "NodesLost", "NoValidCheckpoint"]
}
