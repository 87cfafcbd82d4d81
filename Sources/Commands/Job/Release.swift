import APIClient
import ArgumentParser

/// `baton job release`.
struct Release: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "release", abstract: "Let a held job start again.",
    discussion: Help.examples("baton job release 17"), aliases: ["resume"])

  @Argument(help: "Its id, as in 17 or job-17.")
  var job: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.release(job)
      try context.show(view) { JobText.line(view, context.times()) }
    }
  }
}
