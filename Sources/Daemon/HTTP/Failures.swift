import Domain
import JobFile
import Launching
import Logging
import ObjectStorage
import Postgres
import SSH
import Store
import Wire

extension APIFailure {
  /// What the caller is told of `error`.
  ///
  /// Only what can be put right is told in detail; the rest goes to the log.
  init(describing error: any Error, logger: Logger) {
    switch error {
    case let failure as APIFailure:
      self = failure
    case let error as StoreError:
      self.init(Self.code(of: error), error.description)
    case let error as JobFileError:
      self.init(
        .badJobFile, "the job file has \(error.issues.count == 1 ? "a mistake" : "\(error.issues.count) mistakes")",
        details: error.description.split(separator: "\n").map(String.init))
    case let refusal as Refusal:
      self.init(.conflict, refusal.description)
    case let error as SSHError:
      self.init(.unavailable, error.description)
    case let error as AgentError:
      self.init(.unavailable, error.description)
    case let error as ObjectStoreError:
      logger.warning("object store: \(error)")
      self.init(.unavailable, "the object store: \(error)")
    case let error as PostgresError:
      logger.error("database: \(error)")
      self.init(.unavailable, "the database does not answer as it should; try again, and see the server's log")
    default:
      logger.error("unexpected: \(error)")
      self.init(.internal, "a mistake of the server's; its log says more")
    }
  }

  private static func code(of error: StoreError) -> Code {
    switch error {
    case .notFound, .unknownDataset: .notFound
    case .nameTaken, .leaseOverlap, .notEnoughNodes, .nodeInUse, .submissionKeyReused: .conflict
    case .leaseOver, .notResumable: .wrongState
    case .badName, .leaseInPast, .leaseEmpty, .leaseNotExtended, .noNodes: .badRequest
    }
  }
}
