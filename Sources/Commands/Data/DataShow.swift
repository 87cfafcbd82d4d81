import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton data show`.
struct DataShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "List the versions of one data set, newest first, and the nodes that hold copies.",
    discussion: Help.examples("baton data show mnist"))

  @Argument(help: "Its name.")
  var name: String

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let versions = try await client.dataset(name)
      try context.show(versions) {
        let times = context.times(versions.now)
        let table = context.table(DataList.table(versions.items, times), empty: "no version of \(name)")
        let copies = Self.copies(versions.items, times)
        return copies.rows.isEmpty ? table : table + "\n\n" + context.table(copies, empty: "")
      }
    }
  }

  /// Copies on nodes for people.
  static func copies(_ versions: [DatasetView], _ times: TimeText) -> Table {
    var table = Table([
      .init("NODE"), .init("VERSION", isRight: true), .init("STATE"), .init("VERIFIED"),
    ])
    for version in versions {
      for copy in version.copies {
        table.add([
          .init(copy.node.name), "\(version.version)",
          .init(copy.state, copy.state == "CORRUPT" ? .red : nil),
          .init(copy.verifiedAt.map(times.relative) ?? "-"),
        ])
      }
    }
    return table
  }
}
