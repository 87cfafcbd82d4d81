public import Domain
public import Wire

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
    case launch(masterPort: Int)
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
  private var runningTold = false
  private var leavingTold = false
  private var stopTold: Set<Int> = []
  private var finished = false
  private let stagingTotal: ByteCount

  /// An attempt on `nodeCount` nodes of which nothing is known; each has `stagingTotal` to fetch.
  public init(nodeCount: Int, stagingTotal: ByteCount) {
    nodes = Array(repeating: .ordered, count: nodeCount)
    ports = Array(repeating: nil, count: nodeCount)
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

  /// Whether every node has told how it ended: nothing that one of them saved or measured is unknown.
  public var isHeardOut: Bool { nodes.allSatisfy(\.isHeardOut) }

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
    case .staged(let port, _, _):
      nodes[nodeRank] = .staged(port: port)
      if nodeRank == 0 { masterPort = port }
      return tellPeersIfKnown() + launchIfStaged()
    case .launched:
      nodes[nodeRank] = .launched
      return runningIfLaunched()
    case .stopping:
      guard !leavingTold else { return [] }
      leavingTold = true
      return [.leaving]
    case .checkpointLocal(let step, let bytes):
      return [.checkpointSeen(step: step, bytes: bytes)]
    case .checkpointStored(let checkpoint):
      return [.commit(checkpoint)]
    case .checkpointRejected(let step, let reason):
      return [.checkpointRejected(step: step, reason: reason)]
    case .ended(let outcome):
      nodes[nodeRank] = .ended(outcome)
      return nodeIsOver(nodeRank)
    case .accepted, .stagingFailed, .peerDistrusted, .evicted, .firstLine, .checkpointAsked, .rankEnded, .unknown:
      return []
    }
  }

  /// The node of `nodeRank` will say nothing more: its supervisor is gone, or it was re-installed.
  public mutating func lost(nodeRank: Int, _ why: String) -> [Action] {
    guard nodes.indices.contains(nodeRank), !nodes[nodeRank].isOver else { return [] }
    nodes[nodeRank] = .lost(why)
    return nodeIsOver(nodeRank)
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
    return [.launch(masterPort: masterPort)]
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
      return [.finish(GangOutcome(nodes: nodes))]
    }
    guard needsOthersToStop(nodes[nodeRank]) else { return [] }
    let others = nodes.indices.filter { !nodes[$0].isOver && !stopTold.contains($0) }
    stopTold.formUnion(others)
    return others.isEmpty ? [] : [.stop(nodeRanks: others, .gangFailed)]
  }

  /// A node whose ranks all ended with 0 is done, and the others come to the same end by themselves.
  private func needsOthersToStop(_ node: NodePhase) -> Bool {
    guard case .ended(let outcome) = node else { return true }
    return outcome.staging != nil || outcome.launchError != nil || outcome.exits.isEmpty
      || outcome.exits.contains { $0.code != 0 }
  }
}
