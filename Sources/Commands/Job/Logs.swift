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

  @Option(name: [.customLong("attempt"), .customLong("segment")], help: "Of which attempt. (default: the newest)")
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
      do {
        for try await chunk in try await client.logs(job, rank: rank, attempt: attempt, follow: follow) {
          if context.json {
            context.console.out(try JSONText.line(Piece(text: String(decoding: chunk, as: UTF8.self))))
          } else {
            context.console.raw(chunk)
          }
        }
      } catch let failure as ClientFailure where follow && failure.refusal?.code == .notFound {
        throw CommandFailure(.jobNotFound, failure.description)
      }
      guard follow else { return }
      let status = ExitStatus(following: try await client.job(job))
      if status != .success { throw CommandFailure(status) }
    }
  }
}
