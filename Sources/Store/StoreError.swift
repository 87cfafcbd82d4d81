public import Domain

/// What a caller asked for and cannot have, with what decided it and what helps.
public enum StoreError: Error, Hashable, Sendable {
  /// There is no such thing: `kind` is as in `job`, `name` as it was asked for.
  case notFound(kind: String, name: String)
  /// The name is in use.
  case nameTaken(kind: String, name: String)
  /// The name is not one: letters, digits and `.`, `_`, `-` after a letter or digit, at most 63 of them.
  case badName(kind: String, name: String)
  /// The node is in another lease at that time.
  case leaseOverlap(node: NodeID, nodeName: String, lease: LeaseID, leaseName: String, period: Period)
  /// The lease would begin in the past.
  case leaseInPast(start: Timestamp, now: Timestamp)
  /// The lease would end before it begins, or at that moment.
  case leaseEmpty(start: Timestamp, end: Timestamp)
  /// An extension that ends no later than the lease does already.
  case leaseNotExtended(end: Timestamp, wanted: Timestamp)
  /// The lease is over: nothing about it changes any more.
  case leaseOver(lease: LeaseID, state: LeaseState)
  /// Not that many nodes are free for the whole of the time.
  case notEnoughNodes(wanted: Int, free: Int)
  /// A lease without a node.
  case noNodes
  /// The node has a history or is in a lease that is not over.
  case nodeInUse(node: NodeID)
  /// The same submission key came with another job.
  case submissionKeyReused(key: String, job: JobID)
  /// The job asks for a data set, or a version of it, that its project does not have.
  case unknownDataset(name: String, version: Int?)
  /// The job is to resume from a checkpoint that nothing can resume from.
  case notResumable(checkpoint: CheckpointID, state: CheckpointState)
}

extension StoreError {
  /// A stable word for scripts and for the API's error body.
  public var code: String {
    switch self {
    case .notFound: "not_found"
    case .nameTaken: "name_taken"
    case .badName: "bad_name"
    case .leaseOverlap: "lease_overlap"
    case .leaseInPast: "lease_in_past"
    case .leaseEmpty: "lease_empty"
    case .leaseNotExtended: "lease_not_extended"
    case .leaseOver: "lease_over"
    case .notEnoughNodes: "not_enough_nodes"
    case .noNodes: "no_nodes"
    case .nodeInUse: "node_in_use"
    case .submissionKeyReused: "submission_key_reused"
    case .unknownDataset: "unknown_dataset"
    case .notResumable: "not_resumable"
    }
  }
}

extension StoreError {
  /// Where a person sees the names and numbers of things of a kind.
  private static let listings = [
    "job": "baton queue --all", "run": "baton run list --all", "lease": "baton lease list --all",
    "node": "baton node list", "dataset": "baton data list",
  ]
}

extension StoreError: CustomStringConvertible {
  /// What was asked for, why not, and what helps.
  public var description: String {
    switch self {
    case .notFound(let kind, let name):
      "there is no \(kind) '\(name)'" + (Self.listings[kind].map { ": `\($0)` shows what there is" } ?? "")
    case .nameTaken(let kind, let name):
      "the \(kind) name '\(name)' is in use: choose another"
    case .badName(let kind, let name):
      "'\(name)' cannot name a \(kind): use up to 63 letters, digits and . _ - and begin with a letter or digit"
    case .leaseOverlap(_, let nodeName, let lease, let leaseName, let period):
      "node \(nodeName) is in \(lease) '\(leaseName)' from \(period.start) to \(period.end): "
        + "choose another node or time"
    case .leaseInPast(let start, let now):
      "the lease would begin at \(start), and it is \(now) by the database's clock: begin it now or later"
    case .leaseEmpty(let start, let end):
      "the lease would begin at \(start) and end at \(end): the end has to come after the start"
    case .leaseNotExtended(let end, let wanted):
      "the lease ends at \(end) already, which is not before \(wanted)"
    case .leaseOver(let lease, let state):
      "\(lease) is \(state.rawValue): make a new one with `baton lease create`"
    case .notEnoughNodes(let wanted, let free):
      "\(counted(wanted, "node")) \(wanted == 1 ? "is" : "are") wanted and \(countedBeing(free)) free for the whole time: "
        + "ask for \(free == 0 ? "" : "fewer, or for ")another time"
    case .noNodes:
      "a lease needs at least one node"
    case .nodeInUse(let node):
      "\(node) has been leased or used: drain it instead, so that the history of its runs stays whole"
    case .submissionKeyReused(let key, let job):
      "the submission key '\(key)' belongs to \(job), which is another job: use a new key for a new job"
    case .unknownDataset(let name, let version):
      "the project has no data set '\(name)'" + (version.map { " in version \($0)" } ?? "")
        + ": see `baton data list`"
    case .notResumable(let checkpoint, let state):
      "\(checkpoint) is \(state.rawValue), and only a DURABLE checkpoint can be resumed from: "
        + "see `baton checkpoint list JOB`"
    }
  }
}
