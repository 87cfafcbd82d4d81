import APIClient
import ArgumentParser
import Wire

/// `baton run lineage`.
struct RunLineageCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lineage", abstract: "Draw what a run came from and what came from it: data, runs, checkpoints.",
    discussion: Help.examples("baton run lineage 17", "baton run lineage 17 --dot | dot -Tsvg > lineage.svg"))

  @Argument(help: "Its id, as in 17 or run-17.")
  var run: String

  @Flag(help: "Write it for Graphviz.")
  var dot = false

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let lineage = try await client.lineage(ofRun: run)
      try context.show(lineage) { dot ? LineageText.dot(lineage) : LineageText.tree(lineage) }
    }
  }
}
