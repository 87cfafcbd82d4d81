import APIClient
import ArgumentParser
import Dashboard
import Domain
import Foundation
import Wire

/// `baton run report`.
struct RunReport: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Write a page about runs that needs nothing beside it: curves, attempts, and what re-creates them.",
    discussion: Help.examples(
      "baton run report 17 --output supplement.html", "baton run report 17 18 --metric loss --metric test_accuracy")
      + "\n\nOf very many metrics the \(MetricOrder.drawnMost) that tell most are drawn - the loss, results on "
      + "held-back data - and of the others the page has the last values; --metric says which to draw.")

  @Argument(help: "Their ids, as in 17 or run-17: the numbers of their jobs.")
  var runs: [String]

  @Option(help: ArgumentHelp("The file to write.", valueName: "file"))
  var output = "report.html"

  @Option(
    help: ArgumentHelp("A metric to draw; may be given again. (default: the 8 that tell most)", valueName: "metric"))
  var metric: [String] = []

  @Option(help: "What the page is called. (default: the names of the runs)")
  var title: String?

  @Flag(help: "Replace the file.")
  var force = false

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    if runs.isEmpty { throw ValidationError("name one run or more") }
  }

  func run() async throws {
    try await global.withClient { client, context in
      let path = URL(fileURLWithPath: output).standardizedFileURL.path
      if FileManager.default.fileExists(atPath: path), !force {
        throw CommandFailure(.conflict, "\(path) is there already: name another file, or replace it with --force")
      }
      var views: [RunView] = []
      for run in runs { views.append(try await client.run(run)) }
      let names = MetricOrder.names(of: views.map(\.metrics))
      let drawn = metric.isEmpty ? Array(names.prefix(MetricOrder.drawnMost)) : names.filter(metric.contains)
      if metric.isEmpty, names.count > drawn.count {
        context.console.note("drawn: \(drawn.joined(separator: ", ")); --metric draws others of the \(names.count)")
      }
      var contents: [ReportContent] = []
      for view in views {
        let own = Set(view.metrics.map(\.metric))
        for name in metric where !own.contains(name) {
          context.console.note("warning: \(view.id) has no metric '\(name)'")
        }
        var curves: [MetricSeries] = []
        for name in drawn where own.contains(name) {
          curves.append(try await client.curve("\(view.id.rawValue)", name))
        }
        contents.append(ReportContent(run: view, curves: curves, artifacts: try await client.toldArtifacts(of: view)))
      }
      let page = try PageRenderer().report(contents, title: title, at: context.times().now)
      try ExportFolder.attempting("write \(path)") {
        try Data(page.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
      }
      try context.show(Result(file: path, runs: contents.map { "\($0.run.id)" })) {
        "\(contents.map { "\($0.run.id)" }.joined(separator: ", ")): \(path)"
      }
    }
  }

  /// What `--json` prints.
  struct Result: Encodable {
    var file: String
    var runs: [String]
  }
}
