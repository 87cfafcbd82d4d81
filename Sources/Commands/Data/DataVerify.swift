import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton data verify`.
struct DataVerify: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Read a data set back, in the store and on nodes. The exit status is 1 where something is damaged.",
    discussion: """
      In the store it reads the tar shards of a packed version, else each object; on nodes every file of every copy. A \
      damaged copy is not used any more, and mended when it is needed next. Of objects that the store knows by a name of \
      its own only, version and length are compared.

      \(Help.examples(
        "baton data verify imagenet", "baton data verify imagenet --store", "baton data verify imagenet --nodes"))
      """)

  @Argument(help: "Its name.")
  var name: String

  @OptionGroup var version: VersionOption

  @Flag(help: "Only the copies on nodes.")
  var nodes = false

  @Flag(help: "Only the objects in the store.")
  var store = false

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let board = BoardPrinter("reading back", context.console)
      let isAll = nodes == store
      let request = DataVerifyRequest(version: version.version, nodes: nodes || isAll, store: store || isAll)
      let found = try await client.verify(name, request) { board.show($0) }
      board.end()
      try context.show(found) { Self.text(found, context) }
      guard found.isHealthy else { throw CommandFailure(.foundTrouble) }
    }
  }

  /// Of each place so many are named; --json names more.
  private static let namesMost = 20

  /// What was found, for people.
  static func text(_ found: DataVerification, _ context: Context) -> String {
    var table = Table([
      .init("PLACE"), .init("FILES", isRight: true), .init("READ", isRight: true), .init("DAMAGED", isRight: true),
      .init("PROBLEM", wraps: true),
    ])
    for place in found.places {
      table.add([
        .init(place.node ?? "store"), "\(place.files)", "\(place.bytes)",
        .init("\(place.damagedCount)", place.damagedCount > 0 ? .red : nil), .init(place.failure ?? "", .red),
      ])
    }
    var lines = [
      "\(found.name) version \(found.version)", context.table(table, empty: "no node holds a copy of it"),
    ]
    for place in found.places where place.damagedCount > 0 {
      let label = place.node ?? "store"
      lines += place.damaged.prefix(namesMost).map { Printable.line("\(label): \($0)") }
      if place.damagedCount > namesMost { lines.append("\(label): and \(place.damagedCount - namesMost) more") }
    }
    return lines.joined(separator: "\n")
  }
}
