import APIClient
import ArgumentParser
import Domain
import Wire

extension ExportFormat: ExpressibleByArgument {}

/// `baton run export`.
struct RunExport: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write a run in a form that other programs read: TensorBoard, MLflow, RO-Crate, CSV.",
    discussion: Help.examples(
      "baton run export 17 --format tensorboard --output logs/run-17",
      "baton run export 17 --format mlflow --output mlruns",
      "baton run export 17 --format ro-crate --output run-17-crate", "baton run export 17 --format csv")
      + "\n\nThe folder appears when all of it is written. Every value of every metric is exported.")

  @Argument(help: "Its id, as in 17 or run-17: the number of its job.")
  var run: String

  @Option(help: "tensorboard, mlflow, ro-crate or csv.")
  var format: ExportFormat

  @Option(help: ArgumentHelp("The folder to make. (default: run-17-FORMAT here)", valueName: "folder"))
  var output: String?

  @Flag(help: "Replace the folder, where an earlier export made it.")
  var force = false

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let view = try await client.run(run)
      var target = ""
      let name = output ?? "\(view.id)-\(format.rawValue)"
      try await ExportFolder.with(name, force: force, context.console) { folder in
        try await RunExporter(client, context, view, folder).export(format)
        target = folder.target
      }
      let values = view.metrics.reduce(0) { $0 + $1.count }
      try context.show(Result(run: "\(view.id)", format: format.rawValue, folder: target, values: values)) {
        "\(view.id): \(counted(view.metrics.count, "metric")), \(counted(values, "value")), in \(target)"
          + (format.hint(target).map { "\nlook at it: \($0)" } ?? "")
      }
    }
  }

  /// What `--json` prints.
  struct Result: Encodable {
    var run: String
    var format: String
    var folder: String
    var values: Int
  }
}

extension ExportFormat {
  /// How to look at what lies in `folder`.
  func hint(_ folder: String) -> String? {
    switch self {
    case .tensorboard: "tensorboard --logdir \(folder)"
    case .mlflow: "MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri \(folder)"
    case .roCrate, .csv: nil
    }
  }
}
