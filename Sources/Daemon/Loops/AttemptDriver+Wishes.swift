import Domain
import Foundation
import Launching
import Logging
import Store
import Wire

/// What people and clocks want of an attempt, and which of its nodes have been told.
struct StopLedger {
  private(set) var wanted: ControlCommand?
  private var told: Set<Int> = []

  /// Whoever wants a harder end than was wanted before has every node told again.
  mutating func wants(_ command: ControlCommand) {
    if wanted == command { return }
    if case .kill = wanted { return }
    wanted = command
    told = []
  }

  func untold(of ranks: some Sequence<Int>) -> [Int] { ranks.filter { !told.contains($0) } }

  mutating func wasTold(_ rank: Int) { told.insert(rank) }
}

extension AttemptDriver {
  /// Looks at the database: is it over, is its end wanted, has its lease's end moved, is its time up.
  mutating func look() async throws -> GangOutcome? {
    attempt = try await services.store.attempt(attempt.id)
    guard attempt.state != .ended else { return nil }
    let job = try await services.store.job(attempt.job)
    if job.cancelRequestedAt != nil { stops.wants(.stop(.cancelled)) }
    if let limit = job.spec.time.limit, job.ran >= limit { stops.wants(.stop(.timeLimit)) }
    let lease = try await services.store.lease(attempt.lease)
    if lease.period.end != leaseEnd, !lease.state.isFinal {
      let now = try await services.store.now()
      let end = lease.period.end
      let told = await tell(.deadline(leaseRemaining: end - now, leaseEnd: end), nodeRanks: Array(targets.indices))
      if told.count == targets.count { leaseEnd = end }
    }
    if let wanted = stops.wanted {
      let ranks = stops.untold(of: targets.indices.filter { !gang.isOver(nodeRank: $0) })
      for rank in await tell(wanted, nodeRanks: ranks) { stops.wasTold(rank) }
    }
    return nil
  }

  /// Asks something of the supervisors of `nodeRanks`, all at once; returns those that took it.
  ///
  /// A node that cannot be told now is told at the next look, or knows by its own clock.
  @discardableResult
  func tell(_ command: ControlCommand, nodeRanks: [Int]) async -> [Int] {
    let request = ControlRequest(controllerEpoch: epoch.rawValue, command: command)
    return await withTaskGroup(of: Int?.self) { group in
      for rank in nodeRanks {
        group.addTask {
          do {
            try await services.agents.control(attempt.id, request, on: targets[rank])
            return rank
          } catch {
            services.logger.info("telling \(targets[rank].name) \(command): \(error)")
            return nil
          }
        }
      }
      var told: [Int] = []
      for await rank in group { if let rank { told.append(rank) } }
      return told
    }
  }

  /// A node was out of reach for too long while nothing ran: the others are freed, and the job goes elsewhere.
  mutating func giveUp(on rank: Int, _ why: String) async throws -> GangOutcome? {
    await tell(.kill(.gangFailed), nodeRanks: targets.indices.filter { $0 != rank })
    _ = try await services.store.setNodeState(targets[rank].id, to: .suspect, by: epoch)
    return GangOutcome(
      outcome: .stagingFailed, exitCode: nil,
      detail: "node \(targets[rank].name) could not be reached for \(TimeSpan(services.reachPatience)): \(why)")
  }

  /// Notes how far a node is.
  func note(_ entry: JournalEntry, from rank: Int) async throws {
    if case .staging = entry.event {
      let now = gang.staging.map { JobView.StagingProgress(done: $0.done, total: $0.total) }
      if services.progress.note(now, for: attempt.job) { services.hub.publish(.job(attempt.job)) }
      return
    }
    if case .staged = entry.event {
      for dataset in brief.datasets {
        _ = try await services.store.setReplica(
          node: targets[rank].id, version: dataset.id, state: .verified, by: epoch)
      }
      if gang.staging == nil { _ = services.progress.note(nil, for: attempt.job) }
    }
    _ = try await services.store.recordContact(
      attempt.id, node: targets[rank].id, agentState: entry.event.name, journalSequence: entry.sequence, by: epoch)
  }

  /// Takes a stretch of a node's metrics into the run's series.
  mutating func ingest(_ lines: [String], upTo end: Int64, from rank: Int) async throws {
    let start = offsets[rank]
    guard end > start else { return }
    let batch = MetricBatch(
      attempt: attempt.id, node: targets[rank].id, fromOffset: start, toOffset: end,
      points: lines.compactMap(MetricLine.parse))
    if case .stale = try await services.store.ingest(batch, by: epoch) {
      services.logger.info("\(attempt.id): metrics of node rank \(rank) up to \(end) were taken in before")
    }
    offsets[rank] = end
  }
}

/// One line of `BATON_METRICS`.
enum MetricLine {
  private struct Line: Decodable {
    var step: Int64
    var metric: String
    var value: Double
    var time: Double?
  }

  /// A point; nil for a line that is not one, since a program's slip must not stop its run.
  static func parse(_ text: String) -> MetricPoint? {
    guard let line = try? JSONDecoder().decode(Line.self, from: Data(text.utf8)), line.step >= 0, !line.metric.isEmpty
    else { return nil }
    return MetricPoint(
      metric: line.metric, step: line.step, value: line.value,
      recordedAt: Timestamp(secondsSinceEpoch: line.time ?? 0))
  }
}

extension AgentEvent {
  /// One word for the node's row.
  var name: String {
    switch self {
    case .accepted: "accepted"
    case .staging: "staging"
    case .staged: "staged"
    case .stagingFailed: "stagingFailed"
    case .launched: "launched"
    case .firstLine: "firstLine"
    case .checkpointAsked: "checkpointAsked"
    case .checkpointLocal: "checkpointLocal"
    case .checkpointStored: "checkpointStored"
    case .checkpointRejected: "checkpointRejected"
    case .stopping: "stopping"
    case .rankEnded: "rankEnded"
    case .ended: "ended"
    case .unknown(let name): name
    }
  }
}
