public import Domain
public import Wire

/// What the nodes are told when their ranks are to start.
public struct LaunchNotice: Hashable, Sendable {
  /// Where rank 0 listens.
  public var masterPort: Int
  /// A port for each process that listens on one of its own, node by node; nil where not every node told some.
  public var rankPorts: [Int]?

  /// Rank 0 listens on `masterPort`.
  public init(masterPort: Int, rankPorts: [Int]? = nil) {
    self.masterPort = masterPort
    self.rankPorts = rankPorts
  }

  /// What a supervisor is told.
  public var command: ControlCommand { .launch(masterPort: masterPort, rankPorts: rankPorts) }
}

/// What is known of one attempt from the journals of its nodes, and what follows from it.
///
/// A value: each event returns the actions to take, and taking them is the caller's work. Journals are replayed from
/// their first entry after a controller starts, so every action may come again for something that was done before;
/// all of them can be done twice.
public struct GangState: Hashable, Sendable {
  /// Something the caller has to do.
  public enum Action: Hashable, Sendable {
    /// It is known on which ports the nodes serve what they stage: tell every node.
    case tellPeers(ports: [Int?])
    /// Every node is staged: tell every node to start its ranks.
    case launch(LaunchNotice)
    /// Tell a node to start the daemon that `mpirun` wants there.
    case startMPIDaemon(nodeRank: Int, command: [String])
    /// Every node has started its ranks.
    case running
    /// The ranks were told to leave.
    case leaving
    /// Tell the nodes that still run to stop.
    case stop(nodeRanks: [Int], StopCause)
    /// A complete checkpoint is on a node's disk.
    case checkpointSeen(step: Int, bytes: ByteCount)
    /// A checkpoint is in the store, read back.
    case commit(StoredCheckpoint)
    /// A checkpoint cannot be used.
    case checkpointRejected(step: Int, reason: String)
    /// Every node has ended.
    case finish(GangOutcome)
  }

  /// Where a node stands.
  enum NodePhase: Hashable, Sendable {
    case ordered
    case staging(done: ByteCount, total: ByteCount)
    case staged(port: Int)
    case launched
    case ended(NodeOutcome)
    case lost(String)

    var isOver: Bool {
      switch self {
      case .ended, .lost: true
      default: false
      }
    }

    /// Whether it has what its ranks need, or had.
    var isStaged: Bool {
      switch self {
      case .staged, .launched: true
      case .ended(let outcome): !outcome.exits.isEmpty
      default: false
      }
    }

    var isHeardOut: Bool {
      if case .ended = self { true } else { false }
    }
  }

  private var nodes: [NodePhase]
  /// Where each node serves what it stages.
  private var ports: [Int?]
  private var peersTold = false
  private var launchTold = false
  /// What rank 0's node found free.
  private var masterPort: Int?
  /// What each node found free for processes that listen on a port of their own; nil for one that told none.
  private var rankPorts: [[Int]?]
  private var runningTold = false
  private var leavingTold = false
  /// The first rank that was heard to fail before any was told to leave.
  private var firstFailed: Int?
  private var stopTold: Set<Int> = []
  private var releaseTold = false
  /// Steps that are complete on disks of nodes, by their ranks, and not known to be in the store.
  private var unstored: [Int: Set<Int>] = [:]
  /// Why steps that are newer than all in the store are not there, as far as nodes have told.
  private var troubles: [Int: String] = [:]
  /// Nodes that could not be reached when their ranks were to start, and why.
  private var late: [Int: String] = [:]
  private var finished = false
  private let stagingTotal: ByteCount
  /// Whether the end of rank 0 alone decides, and all others only serve it.
  private let chiefDecides: Bool

  /// An attempt on `nodeCount` nodes of which nothing is known; each has `stagingTotal` to fetch.
  public init(nodeCount: Int, stagingTotal: ByteCount, chiefDecides: Bool = false) {
    self.chiefDecides = chiefDecides
    nodes = Array(repeating: .ordered, count: nodeCount)
    ports = Array(repeating: nil, count: nodeCount)
    rankPorts = Array(repeating: nil, count: nodeCount)
    self.stagingTotal = stagingTotal
  }

  /// How far staging is, over all nodes; nil once every node is past it.
  public var staging: (done: ByteCount, total: ByteCount)? {
    var done = ByteCount.zero
    var total = ByteCount.zero
    var anyStages = false
    for node in nodes {
      switch node {
      case .ordered:
        anyStages = true
        total = total + stagingTotal
      case .staging(let nodeDone, let nodeTotal):
        anyStages = true
        done = done + nodeDone
        total = total + nodeTotal
      default:
        done = done + stagingTotal
        total = total + stagingTotal
      }
    }
    return anyStages ? (done, total) : nil
  }

  /// Whether every node has ended or is lost.
  public var isOver: Bool { nodes.allSatisfy(\.isOver) }

  /// Whether nothing that the attempt saved or measured is unknown, if it ended with `outcome`.
  ///
  /// Not where a node did not tell its end, nor where a step was complete and nobody said what became of it. A lease's
  /// end cuts off what is under way: an upload that was through but for its last word lies whole in the store.
  public func isSettled(after outcome: AttemptOutcome) -> Bool {
    outcome != .lost && outcome != .leaseEnded && unstored.isEmpty && nodes.allSatisfy(\.isHeardOut)
  }

  /// Whether the node of `nodeRank` has ended or is lost.
  public func isOver(nodeRank: Int) -> Bool { nodes[nodeRank].isOver }

  /// Takes in one journal entry of the node of `nodeRank`.
  public mutating func received(_ event: AgentEvent, from nodeRank: Int) -> [Action] {
    guard nodes.indices.contains(nodeRank), !nodes[nodeRank].isOver else { return [] }
    switch event {
    case .staging(let done, let total, _, _):
      nodes[nodeRank] = .staging(done: done, total: total)
      return []
    case .serving(let port):
      ports[nodeRank] = port
      return tellPeersIfKnown()
    case .staged(let port, _, _, _, let ranks):
      nodes[nodeRank] = .staged(port: port)
      rankPorts[nodeRank] = ranks
      if nodeRank == 0 { masterPort = port }
      return tellPeersIfKnown() + launchIfStaged()
    case .launched:
      nodes[nodeRank] = .launched
      late[nodeRank] = nil
      return runningIfLaunched()
    case .stopping(.chiefGone):
      return []
    case .stopping:
      guard !leavingTold else { return [] }
      leavingTold = true
      return [.leaving]
    case .checkpointLocal(let step, let bytes):
      unstored[step, default: []].insert(nodeRank)
      return [.checkpointSeen(step: step, bytes: bytes)]
    case .checkpointStored(let checkpoint):
      // What is older has done its part.
      unstored = unstored.filter { $0.key > checkpoint.step }
      troubles = troubles.filter { $0.key > checkpoint.step }
      return [.commit(checkpoint)]
    case .checkpointDelayed(let step, let reason):
      if unstored[step] != nil { troubles[step] = reason }
      return []
    case .checkpointRejected(let step, let reason):
      unstored[step] = nil
      troubles[step] = reason
      return [.checkpointRejected(step: step, reason: reason)]
    case .rankEnded(let rank, let code, let signal):
      if firstFailed == nil, !leavingTold, GangOutcome.isFailure(code: code, signal: signal) { firstFailed = rank }
      return rank == 0 ? chiefIsGone() : []
    case .mpiDaemonWanted(let other, let command):
      return nodes.indices.contains(other) ? [.startMPIDaemon(nodeRank: other, command: command)] : []
    case .ended(let outcome):
      nodes[nodeRank] = phase(after: outcome, of: nodeRank)
      return nodeIsOver(nodeRank)
    case .accepted, .stagingFailed, .peerDistrusted, .evicted, .restored, .firstLine, .checkpointAsked,
      .lastSavePlanned, .environment, .artifactsMissing, .helperEnded, .unknown:
      return []
    }
  }

  /// The node of `nodeRank` does not answer, while the attempt is LAUNCHING or later; `isPatienceOver` once that has
  /// lasted longer than anyone waits.
  ///
  /// Ranks that run need nobody who reaches them, so nothing follows while they do (`isRunning`: the database knows
  /// that they all were started). But a node whose ranks are still to start holds up its peers, until their rendezvous
  /// times out, and one that was to stop holds up the job.
  public mutating func outOfReach(
    nodeRank: Int, isRunning: Bool, isPatienceOver: Bool, _ why: String
  ) -> [Action] {
    guard nodes.indices.contains(nodeRank), !nodes[nodeRank].isOver else { return [] }
    let hasStarted = isRunning || nodes[nodeRank] == .launched
    if !hasStarted { late[nodeRank] = why }
    guard isPatienceOver, !hasStarted || stopTold.contains(nodeRank) else { return [] }
    return lost(nodeRank: nodeRank, why)
  }

  /// The node of `nodeRank` will say nothing more: its supervisor is gone, or it was re-installed.
  public mutating func lost(nodeRank: Int, _ why: String) -> [Action] {
    guard nodes.indices.contains(nodeRank), !nodes[nodeRank].isOver else { return [] }
    nodes[nodeRank] = .lost(why + unstoredText(of: nodeRank))
    return nodeIsOver(nodeRank)
  }

  /// What goes with a node, as far as it was heard of.
  private func unstoredText(of nodeRank: Int) -> String {
    let steps = unstored.filter { $0.value.contains(nodeRank) }.keys.sorted()
    guard !steps.isEmpty else { return "" }
    let what = steps.count == 1 ? "its checkpoint of step" : "its checkpoints of steps"
    return "; \(what) \(steps.map(String.init).joined(separator: ", ")) may not have reached the store"
  }

  /// What became of the newest checkpoint, where it is not known to be in the store.
  private var lastSaveText: String {
    guard let step = (Array(unstored.keys) + Array(troubles.keys)).max() else { return "" }
    // What kept one from the store kept the next one, too.
    let waiting = troubles.filter { unstored[$0.key] != nil }.max { $0.key < $1.key }?.value
    let checkpoint = UnstoredCheckpoint(
      step: Int64(step), isRejected: unstored[step] == nil, reason: troubles[step] ?? waiting)
    return "; \(checkpoint)"
  }

  /// A node that was out of reach until its peers gave up had its part in that.
  private func phase(after outcome: NodeOutcome, of nodeRank: Int) -> NodePhase {
    if let why = outcome.lost { return .lost(why + unstoredText(of: nodeRank)) }
    let neverStarted = outcome.exits.isEmpty && outcome.staging == nil && outcome.launchError == nil
    guard neverStarted, outcome.stopped == .gangFailed || outcome.stopped == .chiefGone, let why = late[nodeRank]
    else { return .ended(outcome) }
    return .lost(why)
  }

  /// A node that is staged and never said a port serves none; one that has not spoken is waited for.
  private mutating func tellPeersIfKnown() -> [Action] {
    let isKnown = nodes.indices.allSatisfy { ports[$0] != nil || nodes[$0].isStaged || nodes[$0].isOver }
    guard !peersTold, nodes.count > 1, isKnown, !nodes.allSatisfy(\.isStaged), ports.contains(where: { $0 != nil })
    else { return [] }
    peersTold = true
    return [.tellPeers(ports: ports)]
  }

  private mutating func launchIfStaged() -> [Action] {
    // Where an earlier controller died in the middle of telling them, some have started and wait for the others.
    guard !launchTold, let masterPort, nodes.allSatisfy(\.isStaged) else { return [] }
    launchTold = true
    let told = rankPorts.compactMap(\.self)
    return [
      .launch(LaunchNotice(masterPort: masterPort, rankPorts: told.count == nodes.count ? told.flatMap(\.self) : nil))
    ]
  }

  private mutating func runningIfLaunched() -> [Action] {
    guard !runningTold, nodes.allSatisfy({ $0 == .launched }) else { return [] }
    runningTold = true
    return [.running]
  }

  private mutating func nodeIsOver(_ nodeRank: Int) -> [Action] {
    if isOver {
      guard !finished else { return [] }
      finished = true
      let outcome = GangOutcome(nodes: nodes, firstFailed: firstFailed, chiefDecides: chiefDecides)
      return [.finish(outcome.adding(lastSaveText))]
    }
    if chiefDecides, nodeRank == 0 { return chiefIsGone() }
    guard needsOthersToStop(nodes[nodeRank]) else { return [] }
    let others = nodes.indices.filter { !nodes[$0].isOver && !stopTold.contains($0) }
    stopTold.formUnion(others)
    return others.isEmpty ? [] : [.stop(nodeRanks: others, .gangFailed)]
  }

  /// Without a chief, done or not, the others have nothing to do, nor to save, and would never end by themselves.
  private mutating func chiefIsGone() -> [Action] {
    let others = nodes.indices.filter { $0 != 0 && !nodes[$0].isOver }
    guard chiefDecides, !releaseTold, !others.isEmpty else { return [] }
    releaseTold = true
    stopTold.formUnion(others)
    return [.stop(nodeRanks: others, .chiefGone)]
  }

  /// A node whose ranks all ended with 0 is done, and the others come to the same end by themselves.
  private func needsOthersToStop(_ node: NodePhase) -> Bool {
    guard case .ended(let outcome) = node else { return true }
    return outcome.staging != nil || outcome.launchError != nil || outcome.exits.isEmpty || outcome.helpers != nil
      || outcome.exits.contains { $0.code != 0 && !(chiefDecides && $0.rank != 0 && $0.wasTold) }
  }
}
