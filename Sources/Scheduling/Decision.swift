internal import Domain

/// What one lease says to one job.
struct Judgement {
  /// Yes with nodes, or no with numbers.
  enum Answer {
    case fits(Placement)
    case refuses(Refusal)
  }

  let lease: LeaseSnapshot
  let answer: Answer
  /// What the job needs of this lease, on the nodes that suit it best.
  let needed: TimeNeeded

  var refusal: Refusal? {
    if case .refuses(let refusal) = answer { refusal } else { nil }
  }
}

/// What the round says to one job.
struct Decision {
  /// A start, or the refusal that stands in the queue, with the judgement it comes from where it comes from one.
  enum Outcome {
    case starts(Judgement, Placement)
    case waits(Refusal, Judgement?)
  }

  let job: WaitingJob
  /// Of each lease that the job may use, by start.
  let judgements: [Judgement]
  let outcome: Outcome

  var explanation: Explanation {
    let refusal: Refusal?
    let deciding: Judgement?
    switch outcome {
    case .starts(let judgement, _):
      refusal = nil
      deciding = judgement
    case .waits(let reason, let judgement):
      refusal = reason
      deciding = judgement
    }
    return Explanation(
      job: job.id, refusal: refusal,
      leases: judgements.map { .init(lease: $0.lease.id, name: $0.lease.name, refusal: $0.refusal) },
      needed: (deciding?.needed ?? TimeNeeded(job, missing: job.allData)).parts)
  }
}

extension Refusal {
  /// Lower is nearer to a start; the order is part of the README.
  private var hopelessness: Int {
    switch self {
    case .nodesBusy: 0
    case .behind, .groupFull: 1
    case .leaseNotStarted: 2
    case .nodesUnavailable: 3
    case .diskTooSmall: 4
    case .leaseTooShort: 5
    case .leaseEnding: 6
    case .tooFewGPUs: 7
    case .tooManyNodes: 8
    case .noLease, .leaseUnknown, .held: 9
    }
  }

  /// How much is lacking, in the unit of its case: of two refusals of a kind the smaller is nearer to a start.
  private var lack: Int64 {
    switch self {
    case .nodesBusy(let wanted, let free): Int64(wanted - free)
    case .nodesUnavailable(let wanted, let usable): Int64(wanted - usable)
    case .tooManyNodes(let wanted, let most): Int64(wanted - most)
    case .tooFewGPUs(let wanted, let most): Int64(wanted - most)
    case .diskTooSmall(_, let needed, let room): (needed - room).bytes
    case .leaseNotStarted(_, let startsIn): startsIn.microseconds
    case .leaseTooShort(_, let needed, let remaining): (needed - remaining).microseconds
    case .behind(let job): job.rawValue
    case .noLease, .leaseUnknown, .leaseEnding, .groupFull, .held: 0
    }
  }

  /// Whether a job with this refusal is nearer to a start than one with `other`; neither is where both are equal.
  func isMoreHopeful(than other: Refusal) -> Bool {
    (hopelessness, lack) < (other.hopelessness, other.lack)
  }
}
