internal import Domain

/// The snapshot, indexed, with what the round has decided so far.
struct Board {
  let now: Timestamp
  private let nodes: [NodeID: NodeSnapshot]
  private let leases: [LeaseSnapshot]
  private var occupancy: Occupancy
  /// By lease, the first job of the queue that waits for its busy nodes.
  private var firstInLine: [LeaseID: JobID] = [:]
  /// Groups that have a limit, with what runs of them.
  private var groups: [JobGroupID: GroupSnapshot]

  init(_ snapshot: ClusterSnapshot, at now: Timestamp) {
    self.now = now
    nodes = Dictionary(snapshot.nodes.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    leases =
      snapshot.leases
      .filter { !$0.state.isFinal }
      .sorted { ($0.period.start, $0.id) < ($1.period.start, $1.id) }
    occupancy = Occupancy(snapshot.attempts)
    groups = Dictionary(snapshot.groups.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// What the round says to `job`, given what it has decided before.
  func decision(on job: WaitingJob) -> Decision {
    guard job.state.isWaiting else { return Decision(job: job, judgements: [], outcome: .waits(.held, nil)) }
    let judgements = leases.open(to: job).map { judge(job, in: $0) }
    if let group = job.group.flatMap({ groups[$0] }), group.running >= group.atMost {
      return Decision(
        job: job, judgements: judgements, outcome: .waits(.groupFull(group: group.id, most: group.atMost), nil))
    }
    return Decision(job: job, judgements: judgements, outcome: outcome(of: job, judgements))
  }

  /// Takes the nodes of a start; lets a job that waits for busy nodes go first in those leases from now on.
  mutating func note(_ decision: Decision) {
    switch decision.outcome {
    case .starts(_, let placement):
      if let group = decision.job.group { groups[group]?.running += 1 }
      occupancy.take(placement)
      for id in placement.nodes {
        guard let node = nodes[id] else { continue }
        occupancy.take(decision.job.diskNeeded(missing: decision.job.missingData(besides: node.replicas)), of: id)
        occupancy.keep(decision.job.versions, on: id)
      }
    case .waits(.groupFull, _):
      // It waits for its own group, and keeps nobody from any node.
      break
    case .waits:
      for judgement in decision.judgements {
        guard case .refuses(.nodesBusy) = judgement.answer else { continue }
        firstInLine[judgement.lease.id] = firstInLine[judgement.lease.id] ?? decision.job.id
      }
    }
  }

  private func outcome(of job: WaitingJob, _ judgements: [Judgement]) -> Decision.Outcome {
    var best: (judgement: Judgement, placement: Placement)?
    var nearest: (judgement: Judgement, refusal: Refusal)?
    for judgement in judgements {
      switch judgement.answer {
      case .fits(let placement):
        if best.map({ judgement.lease.outlasts($0.judgement.lease) }) ?? true { best = (judgement, placement) }
      case .refuses(let refusal):
        if nearest.map({ refusal.isMoreHopeful(than: $0.refusal) }) ?? true { nearest = (judgement, refusal) }
      }
    }
    if let best { return .starts(best.judgement, best.placement) }
    if let nearest { return .waits(nearest.refusal, nearest.judgement) }
    if case .named(let name) = job.spec.lease { return .waits(.leaseUnknown(name: name), nil) }
    return .waits(.noLease, nil)
  }

  /// The rules, in their order: what can never be comes before what is not yet.
  private func judge(_ job: WaitingJob, in lease: LeaseSnapshot) -> Judgement {
    let range = job.spec.resources.nodesRange
    let wanted = range.lowerBound
    let isOpen = lease.state == .active && lease.period.contains(now)
    let members = Set(lease.nodes).compactMap { nodes[$0] }
    let suitable = members.filter { $0.suits(job.spec.resources) }.map {
      // The disks of a lease that has not begun are empty when it does.
      Candidate($0, missing: isOpen ? job.missingData(besides: $0.replicas) : job.allData)
    }
    .sorted { ($0.missing, $0.node.id) < ($1.missing, $1.node.id) }

    let needed = TimeNeeded(job, missing: suitable.dropFirst(wanted - 1).first?.missing ?? job.allData)
    func no(_ refusal: Refusal) -> Judgement { Judgement(lease: lease, answer: .refuses(refusal), needed: needed) }

    guard suitable.count >= wanted else { return no(tooSmall(job.spec.resources, wanted, members, suitable.count)) }
    guard now < lease.period.end, lease.state != .ending else { return no(.leaseEnding(lease: lease.id)) }
    let remaining = lease.period.end - max(now, lease.period.start)
    guard needed.total <= remaining else {
      return no(.leaseTooShort(lease: lease.id, needed: needed.total, remaining: remaining))
    }
    guard isOpen else {
      return no(.leaseNotStarted(lease: lease.id, startsIn: max(.zero, lease.period.start - now)))
    }
    let timely = suitable.filter { TimeNeeded(job, missing: $0.missing).total <= remaining }
    let roomy = timely.filter { job.diskNeeded(missing: $0.missing) <= $0.node.room(keeping: job.versions) }
    guard roomy.count >= wanted else { return no(diskTooSmall(job, timely)) }
    let usable = roomy.filter { $0.node.state == .alive && !$0.node.isDrained }
    guard usable.count >= wanted else { return no(.nodesUnavailable(wanted: wanted, usable: usable.count)) }
    if let first = firstInLine[lease.id] { return no(.behind(job: first)) }
    let offers = usable.compactMap { offer(of: $0, to: job) }
    guard offers.count >= wanted else { return no(.nodesBusy(wanted: wanted, free: offers.count)) }
    let chosen = offers.sorted(by: Offer.goesBefore).prefix(range.upperBound)
    let slowest = chosen.map(\.missing).max() ?? .zero
    return Judgement(
      lease: lease, answer: .fits(Placement(shares: chosen.map(\.share).sorted { $0.node < $1.node })),
      needed: TimeNeeded(job, missing: slowest))
  }

  /// What `candidate` has for `job` now; nil where others hold too much of it.
  ///
  /// Room that can be made is made once: what earlier starts of the round were promised has to fit beside this one, with
  /// nothing evicted that any of them uses.
  private func offer(of candidate: Candidate, to job: WaitingJob) -> Offer? {
    let node = candidate.node
    let room = node.room(keeping: job.versions.union(occupancy.versions(keptOn: node.id)))
    guard let gpus = occupancy.offer(of: node, wanted: job.spec.resources.gpusPerNode),
      job.diskNeeded(missing: candidate.missing) + occupancy.room(takenOf: node.id) <= room
    else { return nil }
    return Offer(
      share: Placement.Share(node: node.id, gpus: gpus), missing: candidate.missing,
      freeGPUs: occupancy.freeGPUs(of: node).count)
  }

  private func tooSmall(
    _ resources: JobResources, _ wanted: Int, _ members: [NodeSnapshot], _ suitable: Int
  ) -> Refusal {
    let ofType = members.filter { $0.isOfType(resources.nodeType) }
    if let gpus = resources.gpusPerNode, ofType.count >= wanted {
      return .tooFewGPUs(wanted: gpus, most: ofType.map(\.gpuCount).max() ?? 0)
    }
    return .tooManyNodes(wanted: wanted, most: suitable)
  }

  /// Names the node that lacks the least; called only where one lacks something.
  private func diskTooSmall(_ job: WaitingJob, _ timely: [Candidate]) -> Refusal {
    timely
      .map {
        (node: $0.node.id, needed: job.diskNeeded(missing: $0.missing), room: $0.node.room(keeping: job.versions))
      }
      .filter { $0.needed > $0.room }
      .min { ($0.needed - $0.room, $0.node) < ($1.needed - $1.room, $1.node) }
      .map { .diskTooSmall(node: $0.node, needed: $0.needed, room: $0.room) }
      ?? .nodesUnavailable(wanted: job.spec.resources.nodesRange.lowerBound, usable: timely.count)
  }
}

/// A node of a lease that has what a job asks for, whoever holds it now.
private struct Candidate {
  let node: NodeSnapshot
  /// What of the job's data would have to be brought to it.
  let missing: ByteCount

  init(_ node: NodeSnapshot, missing: ByteCount) {
    self.node = node
    self.missing = missing
  }
}

/// A candidate that is free enough now.
private struct Offer {
  let share: Placement.Share
  let missing: ByteCount
  let freeGPUs: Int

  /// Data first, then the tightest fit, then the lowest number.
  static func goesBefore(_ left: Offer, _ right: Offer) -> Bool {
    (left.missing, left.freeGPUs, left.share.node) < (right.missing, right.freeGPUs, right.share.node)
  }
}

extension [LeaseSnapshot] {
  /// Those that `job` may use, now or later, in their order.
  ///
  /// A name goes before an id: a lease that someone called `lease-3` is what that project means by it.
  func open(to job: WaitingJob) -> [LeaseSnapshot] {
    let own = filter { $0.project == job.project }
    guard case .named(let name) = job.spec.lease else { return own }
    let called = own.filter { $0.name == name }
    return called.isEmpty ? own.filter { $0.id.description == name } : called
  }
}

extension NodeSnapshot {
  fileprivate func isOfType(_ wanted: String?) -> Bool { wanted == nil || wanted == nodeType }

  /// Whether it could ever serve one node's share of `resources`.
  func suits(_ resources: JobResources) -> Bool {
    isOfType(resources.nodeType) && gpuCount >= resources.gpusPerNode ?? 0
  }
}

extension LeaseSnapshot {
  /// Whether it is the better one to start in: it ends later, or was there first.
  func outlasts(_ other: LeaseSnapshot) -> Bool {
    period.end == other.period.end ? id < other.id : period.end > other.period.end
  }
}
