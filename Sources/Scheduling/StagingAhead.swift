public import Domain

/// Nodes that a job will most likely go on on, and the data of it that they lack: to be brought there before it does.
public struct StagingAhead: Hashable, Sendable {
  /// What tells one from the others: a job is staged for in one lease at a time.
  public struct Key: Hashable, Sendable {
    /// Which job.
    public var job: JobID
    /// In which lease.
    public var lease: LeaseID

    /// For `job` in `lease`.
    public init(job: JobID, lease: LeaseID) {
      self.job = job
      self.lease = lease
    }
  }

  /// For which job, in which lease.
  public var key: Key
  /// Until when the nodes are there.
  public var leaseEnd: Timestamp
  /// The nodes, by number, each with the versions that it lacks; none lacking is possible.
  public var nodes: [NodeID: Set<DatasetVersionID>]
  /// Room beside the data that has to stay free on each node: what the job's attempt will need.
  public var reserve: ByteCount

  /// For `key`, on `nodes`.
  public init(key: Key, leaseEnd: Timestamp, nodes: [NodeID: Set<DatasetVersionID>], reserve: ByteCount) {
    self.key = key
    self.leaseEnd = leaseEnd
    self.nodes = nodes
    self.reserve = reserve
  }

  /// Whether a node lacks something.
  public var isNeeded: Bool { nodes.values.contains { !$0.isEmpty } }
}

/// Decides which data is brought where before the attempt that needs it.
///
/// Pure, like `plan`. `jobs` are those that wait and those that run, with what they need; a job that runs is staged for
/// in a lease that outlasts the one it is in. The rules, and what is never done, are in this folder's README.
/// `underWay` is what was decided before and is being done: it goes on on the same nodes as long as that is allowed,
/// since the room that it takes is on the way to be used.
public func stagingAhead(
  _ jobs: [WaitingJob], in snapshot: ClusterSnapshot, at now: Timestamp, underWay: [StagingAhead] = []
) -> [StagingAhead] {
  // Whoever starts now stages by itself, and its nodes are taken.
  let starts = plan(snapshot, at: now).starts
  let starting = Set(starts.map(\.job))
  let live = Dictionary(snapshot.attempts.map { ($0.job, $0.lease) }, uniquingKeysWith: { first, _ in first })
  var board = StagingBoard(snapshot, taken: starts, at: now)
  var decided: [StagingAhead] = []
  for job in inOrder(jobs, where: { $0.state != .held && !starting.contains($0.id) && !$0.needs.data.isEmpty }) {
    let before = underWay.first { $0.key.job == job.id }
    guard let staging = board.staging(for: job, now: live[job.id], before) else { continue }
    board.take(staging, for: job)
    decided.append(staging)
  }
  return decided
}

/// The snapshot, and what of it jobs that go first will have.
private struct StagingBoard {
  private let now: Timestamp
  private let nodes: [NodeID: NodeSnapshot]
  private let leases: [LeaseSnapshot]
  /// Nodes on which something runs: bringing data there would slow it down.
  private let busy: Set<NodeID>
  private var occupancy = Occupancy([])

  init(_ snapshot: ClusterSnapshot, taken starts: [Start], at now: Timestamp) {
    self.now = now
    nodes = Dictionary(snapshot.nodes.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    leases = snapshot.leases.filter { !$0.state.isFinal }
    busy = Set(snapshot.attempts.flatMap(\.placement.nodes) + starts.flatMap(\.placement.nodes))
  }

  /// Where `job`, which is in the lease `current` or in none, is staged for; nil where nowhere.
  func staging(for job: WaitingJob, now current: LeaseID?, _ before: StagingAhead?) -> StagingAhead? {
    let from = max(leases.first { $0.id == current }?.period.end ?? now, now)
    return leases.open(to: job)
      .filter { $0.id != current && $0.state == .active && $0.period.contains(now) && $0.period.end > from }
      .sorted { $0.outlasts($1) }
      .lazy.compactMap { lease in
        staging(for: job, in: lease, from: from, before?.key.lease == lease.id ? before : nil)
      }.first
  }

  private func staging(
    for job: WaitingJob, in lease: LeaseSnapshot, from start: Timestamp, _ before: StagingAhead?
  ) -> StagingAhead? {
    let wanted = job.spec.resources.nodesRange
    let members = Set(lease.nodes).compactMap { nodes[$0] }.filter { $0.suits(job.spec.resources) }
    // A lease that is too small or too short is none that the job will go on in.
    guard members.count >= wanted.lowerBound, TimeNeeded(job, missing: .zero).total <= lease.period.end - start else {
      return nil
    }
    let free = members.filter {
      $0.state == .alive && !$0.isDrained && !busy.contains($0.id)
        && occupancy.offer(of: $0, wanted: job.spec.resources.gpusPerNode) != nil
        && (before?.nodes[$0.id] != nil || hasRoom($0, for: job))
    }
    let chosen = free.sorted { left, right in
      let (isLeft, isRight) = (before?.nodes[left.id] != nil, before?.nodes[right.id] != nil)
      if isLeft != isRight { return isLeft }
      return (job.missingData(besides: left.replicas), left.id) < (job.missingData(besides: right.replicas), right.id)
    }.prefix(wanted.upperBound)
    guard !chosen.isEmpty else { return nil }
    let versions = Set(job.needs.data.keys)
    return StagingAhead(
      key: .init(job: job.id, lease: lease.id), leaseEnd: lease.period.end,
      nodes: Dictionary(uniqueKeysWithValues: chosen.map { ($0.id, versions.subtracting($0.replicas)) }),
      reserve: job.diskNeeded(missing: .zero))
  }

  /// Whether it has room that is free already: nothing is evicted for what may come otherwise.
  private func hasRoom(_ node: NodeSnapshot, for job: WaitingJob) -> Bool {
    job.diskNeeded(missing: job.missingData(besides: node.replicas)) + occupancy.room(takenOf: node.id) <= node.diskFree
  }

  /// Sets aside what `job` will have.
  mutating func take(_ staging: StagingAhead, for job: WaitingJob) {
    for id in staging.nodes.keys.sorted() {
      guard let node = nodes[id] else { continue }
      let gpus = occupancy.offer(of: node, wanted: job.spec.resources.gpusPerNode) ?? []
      occupancy.take(Placement(shares: [.init(node: id, gpus: gpus)]))
      occupancy.take(job.diskNeeded(missing: job.missingData(besides: node.replicas)), of: id)
    }
  }
}
