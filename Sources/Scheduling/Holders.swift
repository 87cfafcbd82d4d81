public import Domain

/// Decides which nodes of `lease` hand out what some of its `takers` lack of `versions`, and which of them each: so that
/// it need not come from the store again.
///
/// Pure. At most `most`: those that add most to what is held by the ones before, and of two that add the same amount one
/// that takes itself (nothing trains there yet), then one on which nothing runs, then the next by number after the first
/// taker, so that not all ask the same ones. None where the lease is not ACTIVE, or nobody lacks anything. A node that is
/// drained or did not answer lately is not asked.
public func holders(
  of versions: Set<DatasetVersionID>, for takers: [NodeID], in lease: LeaseID, _ snapshot: ClusterSnapshot,
  most: Int = 3
) -> [NodeID: Set<DatasetVersionID>] {
  guard let lease = snapshot.leases.first(where: { $0.id == lease }), lease.state == .active,
    let first = takers.min()
  else { return [:] }
  let nodes = Dictionary(snapshot.nodes.map { ($0.id, $0) }) { first, _ in first }
  let lacking = versions.filter { version in takers.contains { nodes[$0]?.replicas.contains(version) != true } }
  let busy = Set(snapshot.attempts.flatMap(\.placement.nodes)).subtracting(takers)
  var left = lease.nodes.compactMap { nodes[$0] }.filter {
    $0.state == .alive && !$0.isDrained && !$0.replicas.isDisjoint(with: lacking)
  }
  var chosen: [NodeID: Set<DatasetVersionID>] = [:]
  func counts(of node: NodeSnapshot) -> (new: Int, all: Int) {
    let held = node.replicas.intersection(lacking)
    return (held.subtracting(chosen.values.reduce([]) { $0.union($1) }).count, held.count)
  }
  func isBefore(_ one: NodeSnapshot, _ other: NodeSnapshot) -> Bool {
    let (mine, its) = (counts(of: one), counts(of: other))
    if mine != its { return mine > its }
    let cost = { (node: NodeSnapshot) in takers.contains(node.id) ? 0 : busy.contains(node.id) ? 2 : 1 }
    if cost(one) != cost(other) { return cost(one) < cost(other) }
    return (one.id < first ? 1 : 0, one.id) < (other.id < first ? 1 : 0, other.id)
  }
  while chosen.count < most, let best = left.min(by: isBefore) {
    chosen[best.id] = best.replicas.intersection(lacking)
    left.removeAll { $0.id == best.id }
  }
  return chosen
}
