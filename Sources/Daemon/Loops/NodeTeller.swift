import AsyncAlgorithms
import Domain
import Launching
import Logging
import Store
import Wire

/// One thing that a node is told.
struct Telling: Hashable, Sendable {
  /// What it is about; the most urgent first, and last what is told anew until that was quick.
  enum Subject: Hashable, Sendable {
    case stop, peers, launch, mpiDaemon, save, lead, deadline
  }

  var subject: Subject
  /// Which text of the notice about it.
  var edition: Int
}

/// Who of an attempt's nodes is told what, and when: one thing at a time, so that a node hears all in order, and each node
/// by itself, so that one that does not answer keeps no other from its news.
struct TellingRounds: Sendable {
  private var busy: Set<Int> = []
  private var tried: [Int: Set<Telling>] = [:]

  /// From now on everybody may be told again what did not get through.
  mutating func beginAnew() { tried = tried.filter { busy.contains($0.key) } }

  /// What the node of `rank` is told now, of what it does `notKnow`; nil where it is being told something, or all was
  /// tried since `beginAnew`.
  mutating func next(for rank: Int, notKnown: [Telling]) -> Telling? {
    guard !busy.contains(rank) else { return nil }
    guard let telling = notKnown.first(where: { tried[rank]?.contains($0) != true }) else { return nil }
    busy.insert(rank)
    tried[rank, default: []].insert(telling)
    return telling
  }

  /// The node of `rank` was told, or could not be.
  mutating func ended(_ rank: Int) { busy.remove(rank) }
}

/// Tells one node what it has to know, one thing after the other, and says how each went.
struct NodeTeller: Sendable {
  /// What it is told.
  enum Words: Sendable {
    case command(ControlCommand)
    /// How long the lease still lasts, by the database's clock when its turn comes, and what is lent until then.
    case leaseEnds(Timestamp)
  }

  private struct Work: Sendable {
    var telling: Telling
    var words: Words
  }

  let services: Services
  let attempt: AttemptRecord
  let epoch: ControllerEpoch
  let nodeRank: Int
  let target: NodeTarget
  let channel: AsyncChannel<DriverInput>
  private let work: AsyncStream<Work>
  private let queue: AsyncStream<Work>.Continuation

  init(
    services: Services, attempt: AttemptRecord, epoch: ControllerEpoch, nodeRank: Int, target: NodeTarget,
    channel: AsyncChannel<DriverInput>
  ) {
    self.services = services
    self.attempt = attempt
    self.epoch = epoch
    self.nodeRank = nodeRank
    self.target = target
    self.channel = channel
    (work, queue) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1))
  }

  /// Has the node told; the next thing only after `DriverInput.told` of this one.
  func tell(_ telling: Telling, _ words: Words) { queue.yield(Work(telling: telling, words: words)) }

  /// Tells until the task is cancelled.
  func run() async {
    for await one in work {
      let began = ContinuousClock().now
      var took: Duration?
      do {
        let request = ControlRequest(controllerEpoch: epoch.rawValue, command: try await command(one.words))
        try await services.agents.control(attempt.id, request, on: target)
        took = ContinuousClock().now - began
      } catch {
        services.logger.info("telling \(target.name): \(error)")
      }
      await channel.send(.told(nodeRank: nodeRank, one.telling, took: took))
    }
  }

  private func command(_ words: Words) async throws -> ControlCommand {
    switch words {
    case .command(let command): return command
    case .leaseEnds(let end):
      let access = try await services.storeAccess(of: attempt, until: end)
      return .deadline(leaseRemaining: end - (try await services.store.now()), leaseEnd: end, store: access)
    }
  }
}
