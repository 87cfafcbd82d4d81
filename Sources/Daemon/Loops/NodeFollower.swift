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
  /// A node could not be reached, again; `since` the first time.
  case unreachable(nodeRank: Int, since: ContinuousClock.Instant, why: String)
  /// A node will not carry the attempt.
  case refused(nodeRank: Int, why: String)
  /// Look at the database again.
  case look
  /// Save now.
  case checkpointAsked
  /// End now, without saving.
  case killAsked
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
        }
      } catch let error as AgentError where error.code == .refused {
        await channel.send(.refused(nodeRank: nodeRank, why: error.detail))
        return
      } catch {
        if Task.isCancelled { return }
        let since = lostSince ?? ContinuousClock().now
        lostSince = since
        services.logger.info("\(brief.attempt) on \(target.name): \(error)")
        await channel.send(.unreachable(nodeRank: nodeRank, since: since, why: "\(error)"))
      }
      do { try await Task.sleep(for: pause) } catch { return }
      pause = min(pause * 2, Self.longestPause)
    }
  }

  private struct Place {
    var sequence: Int64
    var offset: Int64
  }

  private enum Ending {
    /// The last word was heard.
    case over
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
      case .supervisorGone: ending = .over
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
