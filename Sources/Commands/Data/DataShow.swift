import APIClient
import ArgumentParser
import Wire

/// `baton data show`.
struct DataShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "List the versions of one data set, newest first.",
    discussion: Help.examples("baton data show mnist"))

  @Argument(help: "Its name.")
  var name: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let versions = try await client.dataset(name)
      try context.show(versions) {
        context.table(DataList.table(versions.items, context.times(versions.now)), empty: "no version of \(name)")
      }
    }
  }
}
