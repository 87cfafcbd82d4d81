import Domain
import Foundation
import ObjectStorage
import Store
import Wire

/// What cron calls through `baton sweep`: fresh checkpoints for what runs, a sample read back, old ones removed.
struct Sweep: Sendable {
  /// Of each job, so many of the newest checkpoints are read back.
  private static let sample = 1
  /// A job is late by half its interval before it is asked: its own rhythm goes first.
  private static let patienceFactor = 1.5
  /// Of jobs that are over, so many checkpoints are removed in one sweep: the next one goes on.
  private static let prunedOfOverMost = 200

  let services: Services
  let epoch: ControllerEpoch
  /// Only jobs of this project; nil is all.
  let project: ProjectID?

  /// One sweep; its report is kept.
  ///
  /// Throws only where nothing could be looked at.
  func run() async throws -> SweepReport {
    let store = services.store
    let startedAt = try await store.now()
    let jobs = try await store.queue(project: project)
    var report = SweepReport(
      startedAt: startedAt, jobsRunning: jobs.filter { $0.state == .running }.count, asked: [], verified: [],
      corrupt: [], pruned: [], problems: [])
    for job in jobs {
      do {
        try await sweep(job, at: startedAt, &report)
      } catch {
        report.problems.append("\(job.id): \(error)")
      }
    }
    try await pruneOverJobs(&report)
    let json = String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
    _ = try await store.recordSweep(startedAt: startedAt, report: json, by: epoch)
    return report
  }

  private func sweep(_ job: JobRecord, at now: Timestamp, _ report: inout SweepReport) async throws {
    let checkpoints = try await services.store.checkpoints(of: job.id)
    let durable = checkpoints.filter { $0.state == .durable }
    if job.state == .running, let every = job.spec.checkpoint.every {
      let newest = durable.compactMap(\.durableAt).max() ?? job.startedAt ?? job.submittedAt
      if (now - newest).seconds > every.seconds * Self.patienceFactor {
        // One that has just ended needs no asking.
        if case .done = try await services.store.askForCheckpoint(of: job.id) { report.asked.append(job.id) }
      }
    }
    for checkpoint in durable.prefix(Self.sample) { try await verify(checkpoint, &report) }
    for checkpoint in try await services.store.prunableCheckpoints(
      of: job.id, keepLast: job.spec.checkpoint.keepLast)
    {
      try await prune(checkpoint, &report)
    }
  }

  /// A job that is over keeps what its policy says, too; what cannot be removed keeps nothing else from it.
  private func pruneOverJobs(_ report: inout SweepReport) async throws {
    for checkpoint in try await services.store.prunableCheckpointsOfOverJobs(limit: Self.prunedOfOverMost) {
      do {
        try await prune(checkpoint, &report)
      } catch {
        report.problems.append("\(checkpoint.id) of \(checkpoint.job), which is over: \(error)")
      }
    }
  }

  private func verify(_ checkpoint: CheckpointRecord, _ report: inout SweepReport) async throws {
    guard let prefix = checkpoint.objectPrefix else { return }
    do {
      let found = try await verifyCheckpoint(services.objects, prefix: prefix)
      guard found.manifestSHA256 == checkpoint.manifestHash else {
        throw CheckpointFault.badManifest("it is another one than was committed")
      }
      report.verified.append(checkpoint.id)
    } catch let fault as CheckpointFault {
      _ = try await services.store.markCorrupt(checkpoint.id, detail: "\(fault)", by: .controller(epoch))
      report.corrupt.append(checkpoint.id)
    }
  }

  /// Marked first, removed then: nobody resumes from half of one, and a sweep that dies in between leaves only waste.
  private func prune(_ checkpoint: CheckpointRecord, _ report: inout SweepReport) async throws {
    if try await Pruning(services: services, epoch: epoch).prune(checkpoint) { report.pruned.append(checkpoint.id) }
  }
}
