/// Rank 0's view of all workers: who may go on, when all rest so that a checkpoint is consistent, when the run ends.
///
/// Workers never wait for each other while they train. Only for a checkpoint every one of them sends what it has
/// gathered, waits until the shards have applied it, and rests; then no gradient is under way anywhere, and what rank 0
/// takes from the shards is the sum of exactly the steps that the workers have reported.
struct DownpourCoordinator: Equatable, Sendable {
  /// What a worker does; from any to any.
  enum Phase: String, Codable, Sendable {
    /// It makes steps, or waits for the warm start to be over.
    case working
    /// All it has computed is in the shards, and it makes no step.
    case resting
    /// As resting, and it has no step left.
    case finished
  }

  /// What a worker tells, after every step and several times a second while it rests.
  struct Report: Codable, Equatable, Sendable {
    var rank: Int
    var phase: Phase
    var state: DownpourState.Worker
    /// `Requests` that the outside made to this worker since its last report.
    var requests: UInt32 = 0
  }

  /// What a worker is told.
  struct Order: Codable, Equatable, Sendable {
    enum Command: String, Codable, Sendable {
      /// Make the next step.
      case go
      /// Ask again in a moment.
      case wait
      /// Bring everything to the shards and make no step.
      case rest
      /// All is saved: leave.
      case leave
      /// The run is over.
      case done
      /// Rank 0 could not save what all have to leave with.
      case failed
    }

    var command: Command
    /// Steps of all workers together that were reported so far: the step of the run.
    var step: Int
    /// Everybody rests, so rank 0 saves now.
    var isQuiet = false
  }

  private(set) var workers: [DownpourState.Worker]
  private var phases: [Phase]
  private var requests: Requests = []
  private var ending: Order.Command?
  private let warmStartSteps: Int

  /// Begins, or goes on, where `state` says.
  init(_ state: DownpourState, warmStartSteps: Int) {
    workers = state.workers
    phases = Array(repeating: .working, count: state.workers.count)
    self.warmStartSteps = warmStartSteps
  }

  /// The step of the run.
  var step: Int { workers.reduce(0) { $0 + $1.steps } }

  /// Whether no gradient is under way and none will be before `saved`.
  var isQuiet: Bool { isHalting && !phases.contains(.working) }

  /// Whether everybody has made all steps.
  var isFinished: Bool { phases.allSatisfy { $0 == .finished } }

  /// Whether this save is the last.
  var isEnding: Bool { isFinished || requests.contains(.leave) }

  private var isHalting: Bool { !requests.isEmpty || isFinished }

  /// Takes a report in and answers it.
  ///
  /// - Precondition: the rank is one of the workers'.
  mutating func hear(_ report: Report) -> Order {
    workers[report.rank] = report.state
    phases[report.rank] = report.phase
    requests.formUnion(Requests(rawValue: report.requests))
    return Order(command: command(for: report), step: step, isQuiet: isQuiet)
  }

  private mutating func command(for report: Report) -> Order.Command {
    if let ending { return ending }
    if isHalting { return .rest }
    switch report.phase {
    case .finished: return .wait
    case .resting:
      // From here on its gradients may be under way again.
      phases[report.rank] = .working
      return .go
    case .working:
      let isWarming = phases[0] != .finished && workers[0].steps < warmStartSteps
      return report.rank > 0 && isWarming ? .wait : .go
    }
  }

  /// Rank 0 has saved, or could not: lets the workers go on, or go.
  ///
  /// A save that fails while the run goes on is no reason to end it.
  mutating func saved(_ isSaved: Bool) {
    if isEnding {
      ending = !isSaved ? .failed : isFinished ? .done : .leave
    }
    requests = []
  }
}
