public import Domain

/// Decides what starts now, and why everything else does not.
///
/// Pure: the same snapshot and moment give the same plan, whatever the order of the snapshot's lists. It changes
/// nothing; whoever applies the plan checks each start again, since the world has moved on meanwhile. The rules and
/// their order are in this folder's README.
public func plan(_ snapshot: ClusterSnapshot, at now: Timestamp) -> Plan {
  var board = Board(snapshot, at: now)
  let queue = inOrder(snapshot.waiting)
  let decisions = decide(queue, on: &board)
  return summary(of: decisions, wakeAt: nextLeaseStart(for: queue, in: snapshot.leases, after: now))
}

/// Tells what `plan` decides about `job`, lease by lease, with the numbers.
///
/// The decision is made by the same code in the same round, so the two cannot disagree: `refusal` is nil exactly where
/// the plan starts the job, and equal to the plan's refusal everywhere else. Returns nil for a job that is neither
/// waiting nor held in the snapshot.
public func explain(_ job: JobID, in snapshot: ClusterSnapshot, at now: Timestamp) -> Explanation? {
  var board = Board(snapshot, at: now)
  let decisions = decide(inOrder(snapshot.waiting), on: &board)
  return decisions.first { $0.job.id == job }?.explanation
}

/// The jobs that a round looks at, all that wait or are held where nothing else is said, in the order in which it does: priority, then submission, then number.
func inOrder(
  _ waiting: [WaitingJob], where isIn: (WaitingJob) -> Bool = { $0.state.isWaiting || $0.state == .held }
) -> [WaitingJob] {
  waiting
    .filter(isIn)
    .sorted { left, right in
      if left.spec.priority != right.spec.priority { return left.spec.priority > right.spec.priority }
      if left.submittedAt != right.submittedAt { return left.submittedAt < right.submittedAt }
      return left.id < right.id
    }
}

/// Decides one job after the other; each start, and each job that waits for busy nodes, is on the board for the next.
private func decide(_ queue: [WaitingJob], on board: inout Board) -> [Decision] {
  queue.map { job in
    let decision = board.decision(on: job)
    board.note(decision)
    return decision
  }
}

private func summary(of decisions: [Decision], wakeAt: Timestamp?) -> Plan {
  var plan = Plan(wakeAt: wakeAt)
  for decision in decisions {
    switch decision.outcome {
    case .starts(let judgement, let placement):
      plan.starts.append(Start(job: decision.job.id, lease: judgement.lease.id, placement: placement))
    case .waits(let refusal, _):
      plan.refusals[decision.job.id] = refusal
    }
  }
  return plan
}

/// The earliest start after `now` of a lease that one of the waiting jobs' projects has yet to get.
private func nextLeaseStart(
  for queue: [WaitingJob], in leases: [LeaseSnapshot], after now: Timestamp
) -> Timestamp? {
  let projects = Set(queue.filter(\.state.isWaiting).map(\.project))
  return
    leases
    .filter { projects.contains($0.project) && !$0.state.isFinal && $0.period.start > now }
    .map(\.period.start)
    .min()
}

/// Tells what each lease would say to `job`, which runs, if it waited now: its own attempt's nodes count as free.
///
/// By start. A lease that has not begun and would take it refuses with `leaseNotStarted`, as it does in the queue.
public func verdicts(
  on job: WaitingJob, in snapshot: ClusterSnapshot, at now: Timestamp
) -> [Explanation.Verdict] {
  var snapshot = snapshot
  snapshot.attempts.removeAll { $0.job == job.id }
  var waiting = job
  waiting.state = .leaseWait
  return Board(snapshot, at: now).decision(on: waiting).judgements.map {
    Explanation.Verdict(lease: $0.lease.id, name: $0.lease.name, refusal: $0.refusal)
  }
}
