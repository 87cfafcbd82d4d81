public import Domain
public import Wire

/// How an attempt ended, put together from what its nodes say.
public struct GangOutcome: Hashable, Sendable {
  /// In one word.
  public let outcome: AttemptOutcome
  /// The exit code that decided; nil where no program ended by itself.
  public let exitCode: Int?
  /// In a sentence, with the rank or node that decided.
  public let detail: String
  /// Whose fault it is that staging failed, as far as the nodes can tell.
  public let stagingFault: AttemptEnd.StagingFault
  /// The object that is missing from the store, or is not what its manifest says, where staging failed for that.
  public let badObject: String?

  /// An outcome that was decided elsewhere.
  public init(
    outcome: AttemptOutcome, exitCode: Int?, detail: String, stagingFault: AttemptEnd.StagingFault = .node,
    badObject: String? = nil
  ) {
    self.outcome = outcome
    self.exitCode = exitCode
    self.detail = detail
    self.stagingFault = stagingFault
    self.badObject = badObject
  }

  /// The same, with `text` behind its sentence where what was saved last matters: where more was to come, and no node
  /// says so itself.
  func adding(_ text: String) -> GangOutcome {
    switch outcome {
    case .completed, .stagingFailed, .launchFailed, .lost: return self
    default:
      return GangOutcome(
        outcome: outcome, exitCode: exitCode, detail: detail + text, stagingFault: stagingFault, badObject: badObject)
    }
  }

  /// Decides by the first of these rules that applies.
  ///
  /// 1. A person, or the job's time limit, ended it: that, whatever the ranks then said.
  /// 2. Staging or starting failed on a node: that.
  /// 3. Every rank ended with 0: COMPLETED, also when it was told to leave meanwhile, but for programs that know nothing
  ///    of exit codes.
  /// 4. A node said nothing more: LOST; what the other ranks then did is its consequence.
  /// 5. A rank failed by itself before anyone told it to leave: that failure. Ranks that ask to be continued (85, 99)
  ///    or tried elsewhere (75) do not fail; nor do those of a program that knows nothing of Baton, once the lease's end
  ///    was told to one of them.
  /// 6. The lease ended: LEASE_ENDED.
  /// 7. Ranks asked to be continued, or elsewhere: SAVED, ELSEWHERE.
  ///
  /// Of several ranks that failed it names `firstFailed`, the one that was heard of first: the others may have failed
  /// because it was gone.
  ///
  /// Where the chief decides, that is rank 0, it alone counts in rule 3: all others are ended once it is gone.
  init(nodes: [GangState.NodePhase], firstFailed: Int? = nil, chiefDecides: Bool = false) {
    var outcomes: [(node: Int, outcome: NodeOutcome)] = []
    var losses: [(node: Int, why: String)] = []
    for (index, node) in nodes.enumerated() {
      if case .ended(let outcome) = node { outcomes.append((index, outcome)) }
      if case .lost(let why) = node { losses.append((index, why)) }
    }
    let completed =
      chiefDecides ? Self.chiefCompleted(outcomes) : Self.completed(outcomes, nodeCount: nodes.count)
    self =
      Self.ordered(outcomes) ?? Self.neverStarted(outcomes) ?? completed ?? Self.lost(losses)
      ?? Self.failed(outcomes, first: firstFailed) ?? Self.leaseEnded(outcomes, chiefDecides) ?? Self.asked(outcomes)
      ?? GangOutcome(outcome: .lost, exitCode: nil, detail: "no rank told how it ended")
  }

  private static func ordered(_ outcomes: [(node: Int, outcome: NodeOutcome)]) -> GangOutcome? {
    let causes = outcomes.compactMap(\.outcome.stopped)
    if causes.contains(.cancelled) {
      return GangOutcome(outcome: .cancelled, exitCode: nil, detail: "cancelled")
    }
    if causes.contains(.timeLimit) {
      return GangOutcome(outcome: .timeout, exitCode: nil, detail: "the job's time.limit ran out")
    }
    return nil
  }

  private static func neverStarted(_ outcomes: [(node: Int, outcome: NodeOutcome)]) -> GangOutcome? {
    for (node, outcome) in outcomes {
      if let staging = outcome.staging {
        return GangOutcome(
          outcome: .stagingFailed, exitCode: nil, detail: "node rank \(node): \(staging)",
          stagingFault: staging.fault, badObject: staging.badObject)
      }
      if let error = outcome.launchError {
        return GangOutcome(outcome: .launchFailed, exitCode: nil, detail: "node rank \(node): \(error)")
      }
    }
    return nil
  }

  private static func completed(_ outcomes: [(node: Int, outcome: NodeOutcome)], nodeCount: Int) -> GangOutcome? {
    guard outcomes.count == nodeCount, outcomes.allSatisfy({ $0.outcome.helpers == nil }),
      outcomes.allSatisfy({ !$0.outcome.exits.isEmpty && $0.outcome.exits.allSatisfy { $0.code == 0 } })
    else { return nil }
    let cut = outcomes.map(\.outcome).filter { $0.stopped == .leaseEnd }
    // Whoever knows no exit codes may have left with 0 in the middle.
    if cut.contains(where: { $0.knowsNoCodes == true && $0.exits.contains(where: \.wasTold) }) { return nil }
    let left = cut.flatMap(\.exits).first(where: \.wasTold)
    guard let left else { return GangOutcome(outcome: .completed, exitCode: 0, detail: "every rank ended with 0") }
    return takenAsDone(left.rank)
  }

  /// The chief's 0 means done, unless it was told to leave because something failed.
  private static func chiefCompleted(_ outcomes: [(node: Int, outcome: NodeOutcome)]) -> GangOutcome? {
    guard let (_, node) = outcomes.first(where: { $0.node == 0 }),
      let chief = node.exits.first(where: { $0.rank == 0 }),
      chief.code == 0
    else { return nil }
    guard chief.wasTold else {
      return GangOutcome(outcome: .completed, exitCode: 0, detail: "the chief, rank 0, ended with 0")
    }
    return node.stopped == .leaseEnd ? takenAsDone(0) : nil
  }

  /// Many a program leaves with 0 when it is told to, done or not: whoever wonders why nothing went on finds it here.
  private static func takenAsDone(_ rank: Int) -> GangOutcome {
    GangOutcome(
      outcome: .completed, exitCode: 0,
      detail: "rank \(rank) exited 0 after it was told to leave at the lease's end: taken as done; "
        + "exit 85 to be continued")
  }

  private static func failed(
    _ outcomes: [(node: Int, outcome: NodeOutcome)], first: Int?
  ) -> GangOutcome? {
    // Where a node was stopped from outside, its ranks' ends are answers, not causes.
    let unasked = outcomes.map(\.outcome).filter { $0.stopped == nil }
    // Ranks that know nothing of leases die of each other when the first of them is told to leave, each by itself.
    if outcomes.contains(where: { $0.outcome.knowsNoCodes == true && $0.outcome.stopped == .leaseEnd }) { return nil }
    let failures = unasked.flatMap(\.exits)
      .filter { !$0.wasTold && isFailure(code: $0.code, signal: $0.signal) }
    if let exit = failures.first(where: { $0.rank == first }) {
      return failure(of: "rank \(exit.rank)", code: exit.code, signal: exit.signal, exit.lastWords)
    }
    // A helper that failed had its node's ranks told to leave, so none of them is the first.
    if let exit = unasked.compactMap(\.helpers?.first).first {
      return failure(of: "the \(exit.name)", code: exit.code, signal: exit.signal, exit.lastWords)
    }
    return failures.first.flatMap {
      failure(of: "rank \($0.rank)", code: $0.code, signal: $0.signal, $0.lastWords)
    }
  }

  private static func failure(
    of process: String, code: Int32?, signal: Int32?, _ lastWords: String?
  ) -> GangOutcome? {
    let words = lastWords.map { ": \($0)" } ?? ""
    if let signal {
      return GangOutcome(
        outcome: .failed, exitCode: 128 + Int(signal),
        detail: "\(process) was ended by signal \(signal), which Baton did not send\(words)")
    }
    return code.map {
      GangOutcome(
        outcome: .failed, exitCode: Int($0), detail: "\(process) ended with exit code \($0)\(words)")
    }
  }

  /// Whether an end that nobody asked for is one of a program that failed.
  static func isFailure(code: Int32?, signal: Int32?) -> Bool {
    signal != nil || code.map { !understood.contains($0) } ?? false
  }

  private static func leaseEnded(
    _ outcomes: [(node: Int, outcome: NodeOutcome)], _ chiefDecides: Bool
  ) -> GangOutcome? {
    guard outcomes.contains(where: { $0.outcome.stopped == .leaseEnd }) else { return nil }
    let saving = outcomes.flatMap(\.outcome.exits).filter { !chiefDecides || $0.rank == 0 }
    let saved = saving.allSatisfy { [0, 85, 99].contains($0.code) }
    return GangOutcome(
      outcome: .leaseEnded, exitCode: nil,
      detail: saved ? "the lease ended; every rank saved and left" : "the lease ended; not every rank left by itself")
  }

  private static func asked(_ outcomes: [(node: Int, outcome: NodeOutcome)]) -> GangOutcome? {
    let exits = outcomes.flatMap(\.outcome.exits)
    if let exit = exits.first(where: { $0.code == 85 || $0.code == 99 }) {
      return GangOutcome(
        outcome: .saved, exitCode: exit.code.map(Int.init),
        detail: "rank \(exit.rank) saved and asked to be continued (exit code \(exit.code ?? 85))")
    }
    if let exit = exits.first(where: { $0.code == 75 }) {
      return GangOutcome(
        outcome: .elsewhere, exitCode: 75, detail: "rank \(exit.rank) asked to be tried elsewhere (exit code 75)")
    }
    return nil
  }

  private static func lost(_ losses: [(node: Int, why: String)]) -> GangOutcome? {
    losses.first.map {
      GangOutcome(outcome: .lost, exitCode: nil, detail: "node rank \($0.node): \($0.why)")
    }
  }

  private static let understood: Set<Int32> = [0, 75, 85, 99]
}

extension StagingFailure {
  /// Whose fault it is, as far as the node can tell.
  var fault: AttemptEnd.StagingFault {
    switch self {
    case .missing, .corrupt, .changed, .setup: .job
    case .store: .store
    // Another job may hold the room that the planner saw; if none ever has it, the planner says so.
    case .diskTooSmall, .failed: .node
    }
  }

  /// The object that is to blame.
  var badObject: String? {
    switch self {
    case .missing(let key), .corrupt(let key), .changed(let key): key
    case .diskTooSmall, .store, .setup, .failed: nil
    }
  }
}

extension StagingFailure: CustomStringConvertible {
  /// What failed, and what to do.
  public var description: String {
    switch self {
    case .diskTooSmall(let needed, let room):
      "its disk has room for \(room), and data, checkpoint and reserve need \(needed)"
    case .missing(let key): "the object '\(key)' is not in the store: `baton data show` tells what is registered"
    case .corrupt(let key): "the object '\(key)' is not what its manifest says, also after fetching it again"
    case .changed(let key):
      "the object '\(key)' was replaced since its data set was registered: register it again as a new version"
    case .store(let why): "the object store: \(why)"
    case .setup(let why): "setup: \(why)"
    case .failed(let why): why
    }
  }
}
