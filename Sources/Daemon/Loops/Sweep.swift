import Domain
import Foundation
import Store
import Wire

/// What cron calls through `baton sweep`: fresh checkpoints for what runs, a sample read back, old ones removed.
struct Sweep: Sendable {
  /// What one sweep reads back, where nobody says otherwise; one checkpoint at least.
  static let bytesReadMost = ByteCount.gibibytes(16)
  private static let sampleMost = 1000
  /// So many checkpoints that cannot be read do not keep the others from being read.
  private static let failuresMost = 5
  /// Of jobs that are over, so many are looked at, and so many checkpoints removed, in one sweep: the next one goes on.
  private static let overJobsMost = 500
  private static let prunedOfOverMost = 200

  let services: Services
  let epoch: ControllerEpoch
  /// Only jobs of this project; nil is all.
  let project: ProjectID?
  /// How much is read back.
  var bytesMost = Sweep.bytesReadMost

  private var pruner: Pruner { Pruner(services: services, actor: .controller(epoch)) }

  /// One sweep; its report is kept.
  ///
  /// Throws only where nothing could be looked at. Whoever calls it sees to it that there is one at a time.
  func run() async throws -> SweepReport {
    let store = services.store
    let startedAt = try await store.now()
    let jobs = try await store.queue(project: project)
    var tally = Tally()
    for job in jobs {
      do {
        try await askIfLate(job, at: startedAt, &tally)
        try await prune(job, at: startedAt, &tally)
      } catch {
        tally.problems.append("\(job.id): \(error)")
      }
    }
    try await readBackSample(&tally)
    try await pruneOverJobs(at: startedAt, &tally)
    let report = tally.report(
      startedAt: startedAt, jobsRunning: jobs.filter { $0.state == .running }.count,
      durable: try await store.durableCheckpointCount(project: project))
    let json = String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
    _ = try await store.recordSweep(startedAt: startedAt, report: json, by: epoch)
    return report
  }

  private func askIfLate(_ job: JobRecord, at now: Timestamp, _ tally: inout Tally) async throws {
    guard job.state == .running, let attempt = job.attempt else { return }
    // What was saved before this attempt ran says nothing about how it saves.
    let record = try await services.store.attempt(attempt)
    let began = record.runningAt ?? now
    let durable = try await services.store.checkpoints(of: job.id).filter { $0.state == .durable }
    let newest = max(began, durable.compactMap(\.durableAt).max() ?? began)
    let freshness = job.spec.checkpoint.freshness(newest: newest, at: now)
    if freshness == .fresh { return }
    // Its nodes know more of it, and this says nothing of one that has said a line.
    let isDue = FirstAsk.isDue(
      toldMetric: record.firstStepAt != nil, sinceFirstLine: nil, sinceLaunch: now - began,
      every: job.spec.checkpoint.every ?? .zero)
    guard isDue else { return }
    // One that has just ended needs no asking.
    guard case .done = try await services.store.askForCheckpoint(of: job.id) else { return }
    tally.asked.append(job.id)
    if freshness == .overdue { tally.overdue.append(job.id) }
  }

  private func prune(_ job: JobRecord, at now: Timestamp, _ tally: inout Tally) async throws {
    let pruned = try await pruner.prune(try await pruner.unwanted(of: job, at: now), of: job.id)
    tally.pruned += pruned.checkpoints
    tally.bytesFreed = tally.bytesFreed + pruned.bytes
  }

  /// Those first whose last reading back is the longest ago: what does not fit in this sweep is first in the next.
  private func readBackSample(_ tally: inout Tally) async throws {
    let verifier = Verifier(services: services, actor: .controller(epoch))
    var failures = 0
    for checkpoint in try await services.store.leastRecentlyVerified(project: project, limit: Self.sampleMost) {
      guard tally.bytesRead == .zero || tally.bytesRead + checkpoint.size <= bytesMost else { break }
      guard failures < Self.failuresMost, let prefix = checkpoint.objectPrefix else { break }
      do {
        if try await verifier.fault(in: checkpoint, prefix: prefix) == nil {
          tally.verified.append(checkpoint.id)
        } else {
          tally.corrupt.append(checkpoint.id)
        }
        tally.bytesRead = tally.bytesRead + checkpoint.size
      } catch {
        failures += 1
        tally.problems.append("\(checkpoint.id) of \(checkpoint.job) could not be read back: \(error)")
      }
    }
  }

  /// A job that is over keeps what its policy says, too; what cannot be removed keeps nothing else from it.
  ///
  /// A sweep of everything goes on where the last one stopped.
  private func pruneOverJobs(at now: Timestamp, _ tally: inout Tally) async throws {
    let store = services.store
    let before = tally.pruned.count
    var place = project == nil ? try await store.sweepPlace() : JobID(0)
    let jobs = try await store.fullJobsThatAreOver(project: project, after: place, limit: Self.overJobsMost)
    var isEnd = jobs.count < Self.overJobsMost
    for id in jobs {
      guard tally.pruned.count - before < Self.prunedOfOverMost else {
        isEnd = false
        break
      }
      do {
        try await prune(try await store.job(id), at: now, &tally)
      } catch {
        tally.problems.append("\(id), which is over: \(error)")
      }
      place = id
    }
    guard project == nil else { return }
    _ = try await store.moveSweepPlace(to: isEnd ? JobID(0) : place, by: epoch)
  }

  /// What was found and done so far.
  private struct Tally {
    var asked: [JobID] = []
    var overdue: [JobID] = []
    var verified: [CheckpointID] = []
    var bytesRead = ByteCount.zero
    var corrupt: [CheckpointID] = []
    var pruned: [CheckpointID] = []
    var bytesFreed = ByteCount.zero
    var problems: [String] = []

    func report(startedAt: Timestamp, jobsRunning: Int, durable: Int) -> SweepReport {
      SweepReport(
        startedAt: startedAt, jobsRunning: jobsRunning, asked: asked, overdue: overdue, verified: verified,
        bytesRead: bytesRead, durable: durable, corrupt: corrupt, pruned: pruned, bytesFreed: bytesFreed,
        problems: problems)
    }
  }
}
