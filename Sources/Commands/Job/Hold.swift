import APIClient
import ArgumentParser

/// `baton job hold`.
struct Hold: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hold", abstract: "Keep a waiting job from starting.",
    discussion: Help.examples("baton job hold 17"), aliases: ["pause"])

  @Argument(help: "Its id, as in 17 or job-17.")
  var job: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.hold(job)
      try context.show(view) { JobText.line(view, context.times()) }
    }
  }
}
