public import Domain

/// The moment at which the worlds of tests stand: 2026-11-21T12:00:00Z.
public let noon = Timestamp(microseconds: 1_795_262_400_000_000)

/// The only project of a test that needs no more.
public let ourProject = ProjectID(1)

extension Period {
  /// From `from` after noon for `length`; a length of zero or less counts as one microsecond.
  public static func fromNoon(_ from: TimeSpan, length: TimeSpan) -> Period {
    let start = noon + from
    let end = max(start + length, start + TimeSpan(microseconds: 1))
    guard let period = Period(start: start, end: end) else { preconditionFailure("a period ends after it starts") }
    return period
  }
}

extension NodeSnapshot {
  /// Node `number`: alive, with `gpus` GPUs and 100 GiB of room.
  public static func test(
    _ number: Int64, gpus: Int = 4, type: String = "gpu_a100", state: NodeState = .alive, drained: Bool = false,
    disk: ByteCount = .gibibytes(100), owing owed: ByteCount = .zero, holding replicas: Set<DatasetVersionID> = [],
    evictable: [EvictableReplica] = []
  ) -> NodeSnapshot {
    NodeSnapshot(
      id: NodeID(number), nodeType: type, state: state, isDrained: drained, gpuCount: gpus, diskFree: disk,
      diskOwed: owed, replicas: replicas, evictable: evictable)
  }
}

extension LeaseSnapshot {
  /// Lease `number` on `nodes`, ACTIVE, begun an hour before noon, with `left` left at noon.
  public static func test(
    _ number: Int64, nodes: [Int64], left: TimeSpan = .hours(2), state: LeaseState = .active,
    startsIn: TimeSpan = .hours(-1), name: String? = nil, project: ProjectID = ourProject
  ) -> LeaseSnapshot {
    LeaseSnapshot(
      id: LeaseID(number), name: name ?? "exp\(number)", project: project, state: state,
      period: .fromNoon(startsIn, length: left - startsIn), nodes: nodes.map { NodeID($0) })
  }
}

extension WaitingJob {
  /// Job `number`, submitted `number` minutes after the day began, that wants `gpus` of each of `nodes` nodes.
  public static func test(
    _ number: Int64, nodes: Int = 1, gpus: Int? = nil, priority: Int = 50, state: JobState = .pending,
    project: ProjectID = ourProject, needs: StartNeeds = StartNeeds(), edit: (inout JobSpec) -> Void = { _ in }
  ) -> WaitingJob {
    var spec = JobSpec(name: "job \(number)", command: ["true"])
    spec.resources.nodes = nodes
    spec.resources.gpusPerNode = gpus
    spec.priority = priority
    edit(&spec)
    return WaitingJob(
      id: JobID(number), project: project, state: state,
      submittedAt: noon - .hours(12) + .minutes(Int(number)), spec: spec, needs: needs)
  }
}

extension LiveAttempt {
  /// Attempt `number` of a job of the same number, holding `gpus` by node.
  public static func test(_ number: Int64, lease: Int64 = 1, holding gpus: [Int64: [Int]]) -> LiveAttempt {
    LiveAttempt(
      id: AttemptID(number), job: JobID(number), lease: LeaseID(lease),
      placement: Placement(
        shares: gpus.sorted { $0.key < $1.key }.map { Placement.Share(node: NodeID($0.key), gpus: $0.value) }))
  }
}

extension ClusterSnapshot {
  /// A small testbed full of every kind of trouble, the same for the same seed.
  ///
  /// What it holds is consistent: no GPU is in two attempts, and leases that overlap share no node.
  public static func random(seed: UInt64) -> ClusterSnapshot {
    var dice = SeededGenerator(seed: seed)
    let nodes = (1...Int64(dice.int(1...12))).map { randomNode($0, &dice) }
    var leases: [LeaseSnapshot] = []
    for node in nodes {
      // A node joins a lease that is there, or begins one, or stands idle.
      if dice.chance(60), let index = leases.indices.randomElement(using: &dice) {
        leases[index].nodes.append(node.id)
      } else if dice.chance(80) {
        leases.append(randomLease(Int64(leases.count + 1), node.id, &dice))
      }
    }
    let attempts = nodes.compactMap { randomAttempt(on: $0, &dice) }
    let waiting = (1...Int64(dice.int(1...10))).map { randomJob($0, &dice) }
    return ClusterSnapshot(nodes: nodes, leases: leases, waiting: waiting, attempts: attempts)
  }

  /// The same world with every list in another order.
  public func shuffled(seed: UInt64) -> ClusterSnapshot {
    var dice = SeededGenerator(seed: seed)
    var leases = leases
    for index in leases.indices { leases[index].nodes.shuffle(using: &dice) }
    return ClusterSnapshot(
      nodes: nodes.shuffled(using: &dice), leases: leases.shuffled(using: &dice),
      waiting: waiting.shuffled(using: &dice), attempts: attempts.shuffled(using: &dice))
  }

  private static func randomNode(_ number: Int64, _ dice: inout SeededGenerator) -> NodeSnapshot {
    let held = Set((1...Int64(3)).filter { _ in dice.chance(40) }.map { DatasetVersionID($0) })
    let unused = held.sorted().filter { _ in dice.chance(50) }
    return .test(
      number, gpus: dice.pick([0, 1, 2, 4, 8], else: 1), type: dice.pick(["gpu_a100", "gpu_v100"], else: "gpu_a100"),
      state: dice.chance(85) ? .alive : dice.pick(NodeState.allCases, else: .dead), drained: dice.chance(10),
      disk: .gibibytes(Int64(dice.int(0...60))),
      owing: .gibibytes(dice.chance(80) ? 0 : Int64(dice.int(0...20))), holding: held,
      evictable: unused.map { EvictableReplica(versions: [$0], size: .gibibytes(Int64(dice.int(0...30)))) })
  }

  private static func randomLease(_ number: Int64, _ node: NodeID, _ dice: inout SeededGenerator) -> LeaseSnapshot {
    .test(
      number, nodes: [node.rawValue], left: .minutes(dice.int(1...240)),
      state: dice.chance(75) ? .active : dice.pick(LeaseState.allCases, else: .error),
      startsIn: .minutes(dice.chance(85) ? -60 : dice.int(-60...60)), project: ProjectID(Int64(dice.int(1...2))))
  }

  private static func randomAttempt(on node: NodeSnapshot, _ dice: inout SeededGenerator) -> LiveAttempt? {
    guard dice.chance(35) else { return nil }
    let gpus = (0..<node.gpuCount).filter { _ in dice.chance(50) }
    return .test(1000 + node.id.rawValue, holding: [node.id.rawValue: gpus])
  }

  private static func randomJob(_ number: Int64, _ dice: inout SeededGenerator) -> WaitingJob {
    var needs = StartNeeds()
    for dataset in Int64(1)...3 where dice.chance(40) {
      needs.data[DatasetVersionID(dataset)] = .gibibytes(Int64(dice.int(0...30)))
    }
    needs.stagingRate = dice.pick([5_000_000, 50_000_000], else: 1)
    needs.restore = .gibibytes(Int64(dice.int(0...3)))
    needs.checkpointRoom = .gibibytes(Int64(dice.int(0...6)))
    let choice: LeaseChoice = dice.chance(75) ? .auto : .named(dice.pick(["exp1", "lease-2", "exp3"], else: "none"))
    let minimum: TimeSpan? = dice.chance(20) ? .minutes(dice.int(1...120)) : nil
    let every: TimeSpan? = dice.chance(50) ? .minutes(dice.int(1...30)) : nil
    let type = dice.chance(25) ? "gpu_a100" : nil
    let most: Int? = dice.chance(25) ? dice.int(1...5) : nil
    return .test(
      number, nodes: dice.int(1...3), gpus: dice.chance(40) ? nil : dice.int(0...4), priority: dice.int(49...51),
      state: dice.pick([.pending, .pending, .leaseWait, .held], else: .pending),
      project: ProjectID(Int64(dice.int(1...2))), needs: needs
    ) {
      $0.lease = choice
      $0.time.minimum = minimum
      $0.checkpoint.every = every
      $0.resources.nodeType = type
      $0.resources.nodesMost = most
    }
  }
}
