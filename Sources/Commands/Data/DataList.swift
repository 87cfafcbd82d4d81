import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton data list`.
struct DataList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List data sets, each by its newest version.",
    discussion: Help.examples("baton data list", "baton data list --json"))

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let datasets = try await client.datasets()
      try context.show(datasets) {
        context.table(
          Self.table(datasets.items, context.times(datasets.now)),
          empty: "no data sets: bring one in with `baton data add NAME PATH`")
      }
    }
  }

  /// Data sets for people.
  static func table(_ datasets: [DatasetView], _ times: TimeText) -> Table {
    var table = Table([
      .init("NAME", shrinks: true), .init("VERSION", isRight: true), .init("FILES", isRight: true),
      .init("SIZE", isRight: true), .init("CONTENT", drops: 1), .init("PACKED", drops: 2), .init("ADDED"),
      .init("ON", shrinks: true),
      .init("SOURCE", shrinks: true, drops: 0),
    ])
    for dataset in datasets {
      table.add([
        .init(dataset.name), "\(dataset.version)", "\(dataset.objects)", "\(dataset.total)",
        .init(String(dataset.contentID.prefix(12))),
        .init(dataset.pack.map { counted($0.shards, "shard") } ?? "-"), .init(times.relative(dataset.createdAt)),
        .init(dataset.replicas.isEmpty ? "-" : dataset.replicas.map(\.name).joined(separator: ",")),
        .init(dataset.source),
      ])
    }
    return table
  }
}
