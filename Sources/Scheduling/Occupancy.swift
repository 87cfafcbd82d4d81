internal import Domain

/// What is taken of each node: by live attempts, and by the starts of this round.
struct Occupancy {
  private var gpus: [NodeID: Set<Int>] = [:]
  private var tenants: Set<NodeID> = []
  private var disk: [NodeID: ByteCount] = [:]
  private var kept: [NodeID: Set<DatasetVersionID>] = [:]

  /// What `attempts` hold.
  ///
  /// Their room on disk is in the nodes' `diskFree` already.
  init(_ attempts: [LiveAttempt]) {
    for attempt in attempts { take(attempt.placement) }
  }

  /// Takes the GPUs of `placement`, and makes its nodes not whole any more.
  mutating func take(_ placement: Placement) {
    for share in placement.shares {
      tenants.insert(share.node)
      gpus[share.node, default: []].formUnion(share.gpus)
    }
  }

  /// Sets `amount` of the disk of `node` aside for a start of this round.
  mutating func take(_ amount: ByteCount, of node: NodeID) {
    disk[node] = room(takenOf: node) + amount
  }

  /// Has `versions` stay on `node`: a start of this round uses them.
  mutating func keep(_ versions: Set<DatasetVersionID>, on node: NodeID) {
    kept[node, default: []].formUnion(versions)
  }

  /// Room on disk that starts of this round were promised.
  func room(takenOf node: NodeID) -> ByteCount { disk[node] ?? .zero }

  /// What starts of this round use on `node`: it cannot be evicted for others, nor for each other.
  func versions(keptOn node: NodeID) -> Set<DatasetVersionID> { kept[node] ?? [] }

  /// The GPUs of `node` that nobody holds, ascending.
  func freeGPUs(of node: NodeSnapshot) -> [Int] {
    let held = gpus[node.id] ?? []
    return (0..<max(0, node.gpuCount)).filter { !held.contains($0) }
  }

  /// The GPUs of `node` that a job would get: the lowest free ones; nil where the node cannot serve it now.
  ///
  /// `wanted` nil wants the node for itself: nobody may be on it, not even without a GPU.
  func offer(of node: NodeSnapshot, wanted: Int?) -> [Int]? {
    let free = freeGPUs(of: node)
    guard let wanted else { return tenants.contains(node.id) ? nil : free }
    return free.count >= wanted ? Array(free.prefix(max(0, wanted))) : nil
  }
}
