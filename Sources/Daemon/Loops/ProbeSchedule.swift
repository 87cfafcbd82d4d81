import Domain

/// Which node is to be probed when: each by itself, so that one that hangs delays no other.
///
/// Nodes that did not answer the last time have places of their own: however many of them hang, those that answer are
/// asked in time.
struct ProbeSchedule: Sendable {
  /// A node as it stands in the database.
  struct Known: Sendable {
    var id: NodeID
    var isDrained: Bool
  }

  private struct Row {
    var isDrained: Bool
    var isLeased = false
    /// Until when it is asked more often: somebody has just got it, and it may be on its way up.
    var awaitedUntil: ContinuousClock.Instant?
    var next: ContinuousClock.Instant
    var isProbed = false
    /// Probes in a row without an answer.
    var misses = 0
    /// It is to be probed again as soon as the probe that is under way has ended.
    var isWantedAgain = false
  }

  /// Silent for this many probes in a row: SUSPECT.
  private static let missesToSuspect = 2
  /// Silent for this many: DEAD.
  private static let missesToDeath = 20

  /// A node that was just leased and does not answer is asked this often, for so long.
  private static let awaiting = (every: Duration.seconds(2), atMost: Duration.seconds(900))

  private let interval: Duration
  private let places: Int
  private var rows: [NodeID: Row] = [:]

  /// Probes every node each `interval`; at most `places` that answered the last time at once, and as many others.
  init(interval: Duration, places: Int = 16) {
    self.interval = interval
    self.places = places
  }

  /// These are the nodes there are: a new one, and one that is not drained any more, is due at once.
  mutating func know(_ nodes: [Known], at now: ContinuousClock.Instant) {
    var known: [NodeID: Row] = [:]
    for node in nodes {
      var row = rows[node.id] ?? Row(isDrained: node.isDrained, next: now)
      if row.isDrained, !node.isDrained {
        row.next = now
        row.isWantedAgain = row.isProbed
      }
      row.isDrained = node.isDrained
      known[node.id] = row
    }
    // A probe that is under way ends, also where its node was removed.
    for (node, row) in rows where row.isProbed && known[node] == nil { known[node] = row }
    rows = known
  }

  /// These are in leases that have begun: one that was not before is due at once, and asked more often until it answers.
  mutating func know(leased: Set<NodeID>, at now: ContinuousClock.Instant) {
    for (node, row) in rows {
      let isLeased = leased.contains(node)
      guard isLeased != row.isLeased else { continue }
      rows[node]?.isLeased = isLeased
      rows[node]?.awaitedUntil = isLeased ? now + Self.awaiting.atMost : nil
      guard isLeased else { continue }
      rows[node]?.next = now
      rows[node]?.isWantedAgain = row.isProbed
    }
  }

  /// The nodes to probe now, those first that have waited longest; each counts as being probed from here on.
  mutating func takeDue(at now: ContinuousClock.Instant) -> Set<NodeID> {
    var taken: Set<NodeID> = []
    for isSilent in [false, true] {
      let lane = rows.filter { ($0.value.misses > 0) == isSilent }
      let free = places - lane.values.count { $0.isProbed }
      let due = lane.filter { !$0.value.isProbed && $0.value.next <= now }
        .sorted { ($0.value.next, $0.key) < ($1.value.next, $1.key) }
      taken.formUnion(due.prefix(max(free, 0)).map(\.key))
    }
    for node in taken { rows[node]?.isProbed = true }
    return taken
  }

  /// The probe of `node` has ended; returns the state that its silence leads to, nil where it leads to none.
  mutating func probed(_ node: NodeID, answered: Bool, at now: ContinuousClock.Instant) -> NodeState? {
    guard var row = rows[node] else { return nil }
    row.isProbed = false
    if answered { row.awaitedUntil = nil }
    let isAwaited = row.awaitedUntil.map { now < $0 } ?? false
    // One that is on its way up is not dead for being asked often.
    row.misses = answered ? 0 : min(row.misses + 1, isAwaited ? Self.missesToDeath - 1 : .max)
    row.next = row.isWantedAgain ? now : now + (isAwaited ? min(Self.awaiting.every, interval) : interval)
    row.isWantedAgain = false
    rows[node] = row
    switch row.misses {
    case Self.missesToDeath...: return .dead
    case Self.missesToSuspect...: return .suspect
    default: return nil
    }
  }

  /// Whether a node is due and found no place.
  func hasWaiting(at now: ContinuousClock.Instant) -> Bool {
    rows.values.contains { !$0.isProbed && $0.next <= now }
  }

  /// How long nothing is due; the interval at most, since nodes may come.
  func pause(from now: ContinuousClock.Instant) -> Duration {
    let next = rows.values.filter { !$0.isProbed && $0.next > now }.map(\.next).min()
    return min(next.map { $0 - now } ?? interval, interval)
  }
}
