import Domain
import Launching
import Logging
import ObjectStorage
import Store
import Synchronization
import Wire

/// Reads what a rank wrote: from the node while its attempt lives, from the object store afterwards.
struct LogReader: Sendable {
  /// Takes a piece, and the place behind it.
  typealias Receiver = @Sendable (_ piece: LogPiece, _ behind: LogPlace) async throws -> Void

  /// A node that does not speak is asked again after this.
  private static let pause = Duration.seconds(2)

  let services: Services
  let job: JobID
  let rank: Int
  let follows: Bool

  /// Reads attempt `number`, or all of them in order; when following, also those to come, until the job is over.
  ///
  /// - Parameter place: what was read before: it is left out, and so is the heading of its attempt.
  func read(attempt number: Int?, after place: LogPlace? = nil, _ receive: @escaping Receiver) async throws {
    var next = number ?? place?.attempt ?? 1
    let bell = Bell()
    let token = services.hub.listen { if $0 == .job(job) || $0 == .everything { bell.ring() } }
    defer { token.cancel() }
    while !Task.isCancelled {
      let attempts = try await services.store.attempts(of: job)
      guard let attempt = attempts.first(where: { $0.number == next }) else {
        let record = try await services.store.job(job)
        if !follows || record.state.isFinal { return }
        await bell.sleep(atMost: .seconds(10))
        continue
      }
      let isBegun = place?.attempt == next
      if !isBegun, number == nil, attempts.count > 1 || follows {
        let resumed = attempt.resumeStep.map { ", resumed from step \($0)" } ?? ""
        let heading = "--- attempt \(attempt.number) in \(attempt.lease)\(resumed) ---\n"
        try await receive(LogPiece(heading: heading), LogPlace(attempt: next, offset: 0))
      }
      try await read(attempt, from: isBegun ? place?.offset ?? 0 : 0, bell, receive)
      if number != nil { return }
      next += 1
    }
  }

  private func read(
    _ attempt: AttemptRecord, from start: Int64, _ bell: Bell, _ receive: @escaping Receiver
  ) async throws {
    let job = try await services.store.job(job)
    let nodeRank = rank / max(1, job.spec.launcher.processesPerNode)
    guard let share = attempt.nodes.first(where: { $0.rank == nodeRank }) else { return }
    let number = attempt.number
    let sent = Mutex(start)
    let count: @Sendable ([UInt8]) async throws -> Void = { bytes in
      let offset = sent.withLock { sent in
        sent += Int64(bytes.count)
        return sent
      }
      try await receive(LogPiece(bytes: bytes), LogPlace(attempt: number, offset: offset))
    }
    var attempt = attempt
    while attempt.state != .ended {
      let target = try services.target(await services.store.node(share.node))
      do {
        try await services.agents.logs(
          attempt.id, rank: rank, from: sent.withLock { $0 }, follows: follows, on: target, receive: count)
      } catch {
        if Task.isCancelled { throw error }
        services.logger.debug("log of \(attempt.id) on \(target.name): \(error)")
      }
      // The node may not know the attempt yet, may be out of reach, or may have been cleared at this moment.
      attempt = try await services.store.attempt(attempt.id)
      if attempt.state == .ended { break }
      if !follows { return }
      await bell.sleep(atMost: Self.pause)
      try Task.checkCancellation()
    }
    let record = ObjectLayout.attemptRecord(run: job.id.run, number: attempt.number, nodeRank: nodeRank)
    let key = ObjectLayout.log(record: record, rank: rank)
    let offset = sent.withLock { $0 }
    guard let info = try await services.objects.head(key), info.size > offset else { return }
    try await services.objects.get(key, range: offset..<info.size, count)
  }
}
