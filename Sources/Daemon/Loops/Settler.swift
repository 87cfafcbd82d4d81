import Domain
import Foundation
import Launching
import Logging
import ObjectStorage
import Store
import Synchronization
import Wire

/// Brings in what an attempt left in the object store when nobody was there to hear its last word: a controller that
/// was down while the lease ended, or a node that was taken away.
///
/// Only then may the job go on: a step that was saved must not be computed again.
struct Settler: Sendable {
  private static let patience = Duration.seconds(20)
  private static let pauseAfterError = Duration.seconds(2)
  private static let pageSize = 1000
  /// So many are settled at a time.
  private static let most = 8

  let services: Services
  let epoch: ControllerEpoch

  /// Settles until cancelled.
  func run() async {
    let bell = Bell()
    let token = services.hub.listen { change in
      switch change {
      case .attempt, .lease, .everything: bell.ring()
      default: break
      }
    }
    defer { token.cancel() }
    while !Task.isCancelled {
      var pause = Self.patience
      do {
        let isAllDone = await haveSettled(try await services.store.unsettledAttempts())
        if !isAllDone { pause = Self.pauseAfterError }
      } catch {
        services.logger.warning("settler: \(error)")
        pause = Self.pauseAfterError
      }
      await bell.sleep(atMost: pause)
    }
  }

  /// Whether all is known of `attempts` now.
  ///
  /// Several at a time: all that ran in a lease end together, and the run of each stands still until this is done.
  private func haveSettled(_ attempts: [AttemptRecord]) async -> Bool {
    await withTaskGroup(of: Bool.self) { group in
      var isAllDone = true
      for (index, attempt) in attempts.enumerated() {
        if index >= Self.most, let isDone = await group.next() { isAllDone = isAllDone && isDone }
        group.addTask { await hasSettled(attempt) }
      }
      for await isDone in group { isAllDone = isAllDone && isDone }
      return isAllDone
    }
  }

  /// Whether all is known of `attempt` now; what is wrong with one keeps no other waiting.
  private func hasSettled(_ attempt: AttemptRecord) async -> Bool {
    do {
      return try await settle(attempt)
    } catch {
      services.logger.warning("settling \(attempt.id) of \(attempt.job), which waits for that: \(error)")
      return false
    }
  }

  /// Reads checkpoints first, then metrics; done again from the start if it fails in between.
  private func settle(_ attempt: AttemptRecord) async throws -> Bool {
    let checkpoints = try await commitCheckpoints(of: attempt)
    var lines = 0
    for node in attempt.nodes {
      guard let count = try await ingestMetrics(of: attempt, node) else { return false }
      lines += count
    }
    guard case .done = try await services.store.markSettled(attempt.id, by: epoch) else { return true }
    services.logger.info("\(attempt.id) is settled: \(checkpoints) checkpoints and \(lines) metric lines were found")
    return true
  }

  private func commitCheckpoints(of attempt: AttemptRecord) async throws -> Int {
    // What was heard of while the attempt ran need not be read again, however much it is.
    let known = Set(
      try await services.store.checkpoints(of: attempt.job).filter { $0.state != .local && $0.state != .uploading }
        .compactMap(\.objectPrefix))
    var found = 0
    let ending = "-e\(attempt.number)/manifest.json"
    var marker: String?
    repeat {
      let page = try await services.objects.list(
        prefix: ObjectLayout.checkpoints(of: attempt.job.run), after: marker, limit: Self.pageSize)
      for entry in page.entries where entry.key.hasSuffix(ending) {
        let prefix = String(entry.key.dropLast("manifest.json".count))
        if !known.contains(prefix), try await commit(prefix, of: attempt) { found += 1 }
      }
      marker = page.next
    } while marker != nil
    return found
  }

  private func commit(_ prefix: String, of attempt: AttemptRecord) async throws -> Bool {
    guard let place = ObjectLayout.parseCheckpoint(prefix: prefix), place.number == attempt.number else { return false }
    do {
      let verified = try await verifyCheckpoint(services.objects, prefix: prefix)
      let result = try await services.store.commitCheckpoint(
        CheckpointCommit(
          attempt: attempt.id, step: Int64(place.step), manifestHash: verified.manifestSHA256,
          size: verified.manifest.files.total, objectPrefix: prefix, isFinal: true), by: epoch)
      return !result.isStale
    } catch let fault as CheckpointFault {
      services.logger.warning("\(attempt.job): what lies at \(prefix) is no checkpoint: \(fault)")
      return false
    }
  }

  /// The lines that were found; nil where somebody else took some in at this moment, so that it has to be looked at anew.
  private func ingestMetrics(of attempt: AttemptRecord, _ node: AttemptNodeRecord) async throws -> Int? {
    let record = ObjectLayout.attemptRecord(run: attempt.job.run, number: attempt.number, nodeRank: node.rank)
    let key = ObjectLayout.metrics(record: record)
    guard let info = try await services.objects.head(key), info.size > node.metricsOffset else { return 0 }
    var splitter = LineSplitter()
    var count = 0
    var start = node.metricsOffset
    // Piece by piece: what a long run told while nobody listened would not fit into one statement.
    while start < info.size {
      let end = min(start + Self.metricsPiece, info.size)
      let piece = Mutex<[UInt8]>([])
      try await services.objects.get(key, range: start..<end) { bytes in piece.withLock { $0 += bytes } }
      start = end
      let before = splitter.consumed
      let lines = splitter.add(piece.withLock { $0 }).map { String(decoding: $0, as: UTF8.self) }
      guard splitter.consumed > before else { continue }
      let result = try await services.store.ingest(
        MetricBatch(
          attempt: attempt.id, node: node.node, fromOffset: node.metricsOffset + before,
          toOffset: node.metricsOffset + splitter.consumed,
          points: lines.compactMap(MetricLine.parse), loaded: lines.compactMap(StateLine.parse)), by: epoch)
      if result.isStale { return nil }
      count += lines.count
    }
    return count
  }

  private static let metricsPiece: Int64 = 8 << 20
}
