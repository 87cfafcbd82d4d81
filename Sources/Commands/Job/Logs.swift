import APIClient
import ArgumentParser
import Wire

/// `baton logs`.
struct Logs: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logs",
    abstract: "Print what a job printed.",
    discussion: Help.examples(
      "baton logs 17", "baton logs 17 -f                 (exit status: baton help exit-codes)",
      "baton logs 17 --rank 3 --attempt 2"),
    aliases: ["tail"])

  @Argument(help: "Its id, as in 17 or job-17.")
  var job: String

  @Flag(name: [.short, .long], help: "Go on until the job is over.")
  var follow = false

  @Option(help: "Of which rank.")
  var rank = 0

  @Option(
    name: [.customLong("attempt"), .customLong("segment")],
    help: "Of which attempt. (default: all, one after the other)")
  var attempt: Int?

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    guard rank >= 0 else { throw ValidationError("--rank \(rank): ranks begin with 0") }
    if let attempt, attempt < 1 { throw ValidationError("--attempt \(attempt): attempts begin with 1") }
  }

  /// One piece of a log, as JSON.
  private struct Piece: Encodable {
    var text: String
  }

  func run() async throws {
    try await global.withClient { client, context in
      func show(_ bytes: [UInt8]) throws {
        if context.json {
          context.console.out(try JSONText.line(Piece(text: String(decoding: bytes, as: UTF8.self))))
        } else {
          context.console.raw(bytes)
        }
      }
      guard follow else {
        for try await chunk in try await client.logs(job, rank: rank, attempt: attempt) { try show(chunk) }
        return
      }
      do {
        try await Self.follow(client, job, rank: rank, attempt: attempt) { try show($0) }
      } catch let failure as ClientFailure where failure.refusal?.code == .notFound {
        throw CommandFailure(.jobNotFound, failure.description)
      }
      let status = ExitStatus(following: try await client.job(job))
      if status != .success { throw CommandFailure(status) }
    }
  }

  /// Hands out the log to its end, every byte once, however often the connection breaks.
  static func follow(
    _ client: BatonClient, _ job: String, rank: Int, attempt: Int?, persistence: Persistence = Persistence(),
    _ receive: ([UInt8]) throws -> Void
  ) async throws {
    var place: String?
    try await persistence.go { progressed in
      for try await piece in try await client.followLogs(job, rank: rank, attempt: attempt, after: place).placed {
        progressed()
        place = piece.id ?? place
        if let heading = piece.value.heading { try receive(Array(heading.utf8)) }
        if !piece.value.bytes.isEmpty { try receive(piece.value.bytes) }
        if piece.value.isEnd { return true }
      }
      return false
    }
  }
}
