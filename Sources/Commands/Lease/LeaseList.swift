import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton lease list`.
struct LeaseList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List leases that are not over.",
    discussion: Help.examples("baton lease list", "baton leases --all --json"))

  @Flag(help: "Those that are over as well.")
  var all = false

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let leases = try await client.leases(all: all)
      try context.show(leases) {
        context.table(
          LeaseText.table(leases.items, context.times(leases.now)),
          empty: "no leases: make one with `baton lease create --nodes 2 --duration 2h`")
      }
    }
  }
}
