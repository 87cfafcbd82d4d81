import AsyncAlgorithms
import Domain
import Launching
import Logging
import Store
import Wire

/// What an attempt's driver hears.
enum DriverInput: Sendable {
  /// A node said something.
  case frame(nodeRank: Int, FollowFrame)
  /// A node did not answer, again; `since` the first time.
  case trouble(nodeRank: Int, since: ContinuousClock.Instant, NodeTrouble)
  /// A node will not carry the attempt.
  case refused(nodeRank: Int, why: String)
  /// A node was told something, which took so long; nil where it could not be told.
  case told(nodeRank: Int, Telling, took: Duration?)
  /// Look at the database again.
  case look
}

/// Hands one node its order, and passes on what its journal says until there is nothing more to say.
///
/// Losing contact changes nothing on the node: the follower comes back, again and again, from where it was.
struct NodeFollower: Sendable {
  private static let shortestPause = Duration.milliseconds(250)
  private static let longestPause = Duration.seconds(5)

  let services: Services
  let brief: AttemptBrief
  let nodeRank: Int
  let target: NodeTarget
  /// Where reading the metrics goes on: what is before is in the database.
  let metricsOffset: Int64
  /// Whether a node that does not know the attempt may be told of it: only before any rank can have been started.
  let mayStart: Bool
  let channel: AsyncChannel<DriverInput>

  /// Follows until the node has said its last word, or the task is cancelled.
  func run() async {
    var place = Place(sequence: 0, offset: metricsOffset)
    var isOrdered = !mayStart
    var pause = Self.shortestPause
    var lostSince: ContinuousClock.Instant?
    while !Task.isCancelled {
      do {
        if !isOrdered {
          let now = try await services.store.now()
          try await services.agents.start(brief.order(nodeRank: nodeRank, at: now), on: target)
          isOrdered = true
        }
        let ending = try await follow(&place) {
          pause = Self.shortestPause
          lostSince = nil
        }
        switch ending {
        case .over: return
        case .unknown where mayStart: isOrdered = false
        case .unknown, .cut: break
        case .supervisorGone:
          if let why = try await refusalOfRescue() {
            services.logger.warning("\(brief.attempt) on \(target.name): what it left is not stored: \(why)")
            await channel.send(.frame(nodeRank: nodeRank, .supervisorGone))
            return
          }
        }
      } catch let error as AgentError where error.code == .refused {
        await channel.send(.refused(nodeRank: nodeRank, why: error.detail))
        return
      } catch {
        if Task.isCancelled { return }
        let since = lostSince ?? ContinuousClock().now
        lostSince = since
        services.logger.info("\(brief.attempt) on \(target.name): \(error)")
        await channel.send(.trouble(nodeRank: nodeRank, since: since, NodeTrouble(error)))
      }
      do { try await Task.sleep(for: pause) } catch { return }
      pause = min(pause * 2, Self.longestPause)
    }
  }

  /// Has the node store what a dead supervisor left there; a text where it will not.
  private func refusalOfRescue() async throws -> String? {
    let lease = try await services.store.lease(services.store.attempt(brief.attempt).lease)
    let remaining = lease.period.end - (try await services.store.now())
    do {
      let request = RescueRequest(controllerEpoch: brief.controllerEpoch, leaseRemaining: remaining)
      try await services.agents.rescue(brief.attempt, request, on: target)
      return nil
    } catch let error as AgentError where error.code == .refused {
      return error.detail
    }
  }

  private struct Place {
    var sequence: Int64
    var offset: Int64
  }

  private enum Ending {
    /// The last word was heard.
    case over
    /// The supervisor died without a last word.
    case supervisorGone
    /// The node does not know the attempt.
    case unknown
    /// The stream ended without a last word.
    case cut
  }

  private func follow(_ place: inout Place, heard: () -> Void) async throws -> Ending {
    var ending = Ending.cut
    try await services.agents.follow(
      brief.attempt, on: target, afterJournal: place.sequence, metricsFrom: place.offset
    ) { frame in
      heard()
      switch frame {
      case .journal(let entry):
        place.sequence = entry.sequence
        if case .ended = entry.event { ending = .over }
      case .metrics(_, let end): place.offset = end
      case .alive: return
      case .supervisorGone:
        ending = .supervisorGone
        return
      case .unknownAttempt:
        // A node that spoke of the attempt before, and knows nothing of it now, was installed anew: its ranks are gone.
        let isNew = mayStart && place.sequence == 0
        ending = isNew ? .unknown : .over
        if isNew { return }
      }
      await channel.send(.frame(nodeRank: nodeRank, frame))
    }
    return ending
  }
}
