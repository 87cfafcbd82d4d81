/// Why something is not done, with the numbers that decided it.
///
/// One value for the planner, `explain`, the CLI, the API and the dashboard: `reason` is what stands in the queue's
/// column, `description` the sentence.
public enum Refusal: Error, Hashable, Sendable, Codable {
  /// No lease of the project is active or to come.
  case noLease
  /// The named lease does not exist, or is over.
  case leaseUnknown(name: String)
  /// The lease has not begun.
  case leaseNotStarted(lease: LeaseID, startsIn: TimeSpan)
  /// The lease is too near its end for anything new.
  case leaseEnding(lease: LeaseID)
  /// What the job needs to get something saved does not fit in what is left of the lease.
  case leaseTooShort(lease: LeaseID, needed: TimeSpan, remaining: TimeSpan)
  /// No lease, now or to come, has that many nodes (that fit the job).
  case tooManyNodes(wanted: Int, most: Int)
  /// Enough nodes, but others hold them now.
  case nodesBusy(wanted: Int, free: Int)
  /// Nodes are there, but do not answer, or are drained.
  case nodesUnavailable(wanted: Int, usable: Int)
  /// The nodes' disks do not have room for data, checkpoints and the job's own files, even without what nobody uses.
  case diskTooSmall(node: NodeID, needed: ByteCount, room: ByteCount)
  /// A node has fewer GPUs than the job wants.
  case tooFewGPUs(wanted: Int, most: Int)
  /// Another job is to be placed first, and waits for the same nodes.
  case behind(job: JobID)
  /// So many jobs of its group as may hold nodes at a time do.
  case groupFull(group: JobGroupID, most: Int)
  /// A person holds it.
  case held
}

extension Refusal {
  /// One word for the queue's column, in Slurm's style; stable, for scripts.
  public var reason: String {
    switch self {
    case .noLease: "NoLease"
    case .leaseUnknown: "LeaseUnknown"
    case .leaseNotStarted: "LeaseNotStarted"
    case .leaseEnding: "LeaseEnding"
    case .leaseTooShort: "LeaseTooShort"
    case .tooManyNodes: "TooManyNodes"
    case .nodesBusy: "Resources"
    case .nodesUnavailable: "NodesUnavailable"
    case .diskTooSmall: "DiskTooSmall"
    case .tooFewGPUs: "TooFewGPUs"
    case .behind: "Priority"
    case .groupFull: "GroupLimit"
    case .held: "Held"
    }
  }
}

extension Refusal: CustomStringConvertible {
  /// What stands in the way, with its numbers, and what helps.
  public var description: String {
    switch self {
    case .noLease:
      "the project has no lease, now or to come: make one with `baton lease create`"
    case .leaseUnknown(let name):
      "there is no lease '\(name)' that could still run a job: see `baton lease list`"
    case .leaseNotStarted(let lease, let startsIn):
      "\(lease) starts in \(startsIn)"
    case .leaseEnding(let lease):
      "\(lease) is about to end, nothing new starts on it"
    case .leaseTooShort(let lease, let needed, let remaining):
      "\(lease) has \(remaining) left, and staging, launch, restore, one checkpoint interval and the last save "
        + "need \(needed): extend it with `baton lease extend`, or lower checkpoint.every or time.min"
    case .tooManyNodes(let wanted, let most):
      "the job wants \(counted(wanted, "node")), and the largest lease has \(most) that \(most == 1 ? "fits" : "fit") it"
    case .nodesBusy(let wanted, let free):
      "the job wants \(counted(wanted, "node")), \(countedBeing(free)) free now"
    case .nodesUnavailable(let wanted, let usable):
      "the job wants \(counted(wanted, "node")), \(usable) can be used: see `baton node list`"
    case .diskTooSmall(let node, let needed, let room):
      "the data, checkpoints and files of the job need \(needed) on \(node), and its disk has room for \(room), "
        + "with all that nobody uses or pinned there evicted"
    case .tooFewGPUs(let wanted, let most):
      "the job wants \(counted(wanted, "GPU")) a node, and no node of the lease has more than \(most)"
    case .behind(let job):
      "\(job) goes first"
    case .groupFull(let group, let most):
      "\(counted(most, "job")) of \(group) may hold nodes at a time, and so many do"
    case .held:
      "held by a person: release it with `baton job release`"
    }
  }
}
