import APIClient
import Domain
import Exporting
import Foundation
import Wire

/// Writes a run in a form that other programs read.
struct RunExporter {
  let client: BatonClient
  let context: Context
  let run: RunView
  let folder: ExportFolder
  private let progress: ProgressPrinter
  private let clock: RunClock

  /// Each value counts for so many bytes of progress.
  private static let bytesOfValue: Int64 = 8

  init(_ client: BatonClient, _ context: Context, _ run: RunView, _ folder: ExportFolder) {
    self.client = client
    self.context = context
    self.run = run
    self.folder = folder
    clock = RunClock(run)
    let values = run.metrics.reduce(0) { $0 + Int64($1.count) }
    progress = ProgressPrinter("exporting \(run.id)", total: ByteCount(values * Self.bytesOfValue), context.console)
  }

  /// Writes all of it.
  func export(_ format: ExportFormat) async throws {
    switch format {
    case .tensorboard: try await tensorBoard()
    case .mlflow: try await mlflow()
    case .roCrate: try await crate()
    case .csv: try await csv()
    }
    progress.end()
    try folder.write(JSONText.pretty(Mark(run: "\(run.id)", format: format.rawValue)) + "\n", to: ExportFolder.mark)
  }

  /// What the mark of the folder says.
  private struct Mark: Encodable {
    var run: String
    var format: String
  }

  private func everyValue(of metric: String, _ take: (MetricSeries) throws -> Void) async throws {
    try await client.everyValue("\(run.id)", metric) { part in
      try take(part)
      progress.add(Int64(part.steps.count) * Self.bytesOfValue)
    }
  }

  // MARK: - TensorBoard

  private func tensorBoard() async throws {
    let file = try folder.begin(EventFile.name(beginning: clock.start))
    try file.append(EventFile.beginning(at: clock.start))
    for metric in run.metrics.map(\.metric) {
      try await everyValue(of: metric) { part in
        for index in part.steps.indices {
          let time = clock.time(part.recordedAt?[index], attempt: part.attempts[index])
          try file.append(EventFile.scalar(metric, step: part.steps[index], part.values[index], at: time))
        }
      }
    }
    _ = try file.end()
  }

  // MARK: - MLflow

  private func mlflow() async throws {
    let store = MLflowFiles(run, root: folder.target)
    for (path, text) in store.files.sorted(by: { $0.key < $1.key }) { try folder.write(text, to: path) }
    try folder.write(run.provenance.jobFile, to: "\(store.artifacts)/job.yaml")
    if let diff = run.provenance.source.gitDiff, !diff.isEmpty {
      try folder.write(diff, to: "\(store.artifacts)/uncommitted.diff")
    }
    try folder.write(try JSONText.pretty(run) + "\n", to: "\(store.artifacts)/run.json")
    _ = try await writeArtifacts(below: "\(store.artifacts)/artifacts")
    for metric in run.metrics.map(\.metric) {
      let file = try folder.begin(store.path(ofMetric: metric))
      try await everyValue(of: metric) { part in
        for index in part.steps.indices {
          let line = store.line(
            step: part.steps[index], part.values[index], said: part.recordedAt?[index], attempt: part.attempts[index])
          try file.append(line.utf8)
        }
      }
      _ = try file.end()
    }
  }

  // MARK: - CSV

  private func csv() async throws {
    _ = try await writeTables()
    try await writeWide()
  }

  /// The tables of a run: every value, what left the curves, attempts, checkpoints.
  private func writeTables() async throws -> [ROCrate.File] {
    var files: [ROCrate.File] = []
    func add(_ path: String, _ about: String, _ size: Int64) {
      files.append(ROCrate.File(path: path, about: about, type: "text/csv", size: size))
    }
    let long = try folder.begin("metrics-long.csv")
    try long.append(CSVText.line(["metric", "step", "value", "attempt", "recorded_at"]).utf8)
    for metric in run.metrics.map(\.metric) {
      let name = CSVText.field(metric)
      try await everyValue(of: metric) { part in
        for index in part.steps.indices {
          let time = part.recordedAt?[index].iso8601 ?? ""
          try long.append(
            "\(name),\(part.steps[index]),\(CSVText.number(part.values[index])),\(part.attempts[index]),\(time)\n".utf8)
        }
      }
    }
    add("metrics-long.csv", "Every value of every metric, one a line", try long.end())
    let archived = try folder.begin("archived.csv")
    try archived.append(
      CSVText.line(["metric", "step", "value", "attempt", "recorded_at", "archived_at", "reason"]).utf8)
    for metric in run.metrics.map(\.metric) {
      try await client.archivedValues("\(run.id)", metric) { part in
        for index in part.steps.indices {
          try archived.append(
            CSVText.line([
              metric, "\(part.steps[index])", CSVText.number(part.values[index]), "\(part.attempts[index])",
              part.recordedAt[index].iso8601, part.archivedAt[index].iso8601, part.reasons[index],
            ]).utf8)
        }
      }
    }
    add("archived.csv", "Values that were computed and lost with their attempt", try archived.end())
    add("attempts.csv", "Its attempts, and how each ended", try folder.write(attempts, to: "attempts.csv"))
    add("checkpoints.csv", "Its checkpoints", try folder.write(checkpoints, to: "checkpoints.csv"))
    return files
  }

  private var attempts: String {
    CSVText.line([
      "attempt", "lease", "nodes", "resumed_from_step", "created_at", "running_at", "ended_at", "outcome", "detail",
    ])
      + run.attempts.map { attempt in
        CSVText.line([
          "\(attempt.number)", attempt.leaseName, attempt.nodes.map(\.name).joined(separator: " "),
          attempt.resumedFromStep.map(String.init) ?? "", attempt.createdAt.iso8601, attempt.runningAt?.iso8601 ?? "",
          attempt.endedAt?.iso8601 ?? "", attempt.outcome?.rawValue ?? "", attempt.detail ?? "",
        ])
      }.joined()
  }

  private var checkpoints: String {
    CSVText.line(["step", "attempt", "state", "bytes", "created_at", "durable_at", "object_prefix"])
      + run.checkpoints.map { checkpoint in
        CSVText.line([
          "\(checkpoint.step)", "\(checkpoint.attemptNumber)", checkpoint.state.rawValue, "\(checkpoint.bytes.bytes)",
          checkpoint.createdAt.iso8601, checkpoint.durableAt?.iso8601 ?? "", checkpoint.prefix,
        ])
      }.joined()
  }

  /// One line a step: all curves are read side by side, so that none has to be held whole.
  private func writeWide() async throws {
    let metrics = run.metrics.map(\.metric)
    let file = try folder.begin("metrics.csv")
    try file.append(CSVText.line(["step"] + metrics).utf8)
    var curves: [CurveReader] = []
    for metric in metrics { curves.append(try await CurveReader(client, "\(run.id)", metric)) }
    while let step = curves.compactMap(\.step).min() {
      var line = "\(step)"
      for index in curves.indices {
        line += ","
        guard curves[index].step == step else { continue }
        line += CSVText.number(curves[index].value)
        try await curves[index].advance()
      }
      try file.append((line + "\n").utf8)
    }
    _ = try file.end()
  }

  // MARK: - RO-Crate

  private func crate() async throws {
    var files = try await writeTables()
    func add(_ text: String, _ path: String, _ about: String, _ type: String) throws {
      files.append(ROCrate.File(path: path, about: about, type: type, size: try folder.write(text, to: path)))
    }
    try add(run.provenance.jobFile, "job.yaml", "The job file, as it was submitted", "application/yaml")
    try add(
      try JSONText.pretty(run) + "\n", "run.json", "The whole history of the run, as Baton's API gives it",
      "application/json")
    let diff = run.provenance.source.gitDiff.flatMap { $0.isEmpty ? nil : $0 }
    if let diff { try add(diff, "uncommitted.diff", "Changes of the code that were not committed", "text/x-diff") }
    files += try await writeArtifacts(below: "artifacts").map { artifact, path in
      ROCrate.File(
        path: path, about: "Left by the ranks of node \(artifact.nodeRank) in attempt \(artifact.attempt)",
        type: "application/octet-stream", size: artifact.bytes.bytes)
    }
    let metadata = ROCrate(
      run, files: files, jobFile: "job.yaml", diff: diff == nil ? nil : "uncommitted.diff", at: context.times().now
    ).metadata
    try folder.write(try JSONText.pretty(metadata) + "\n", to: ROCrate.fileName)
  }
}

/// A form that runs are exported in.
enum ExportFormat: String, CaseIterable, Sendable {
  case tensorboard, mlflow, csv
  case roCrate = "ro-crate"
}

/// Reads a curve point by point, a part of it at a time.
struct CurveReader {
  private let client: BatonClient
  private let run: String
  private let metric: String
  private var part: MetricSeries
  private var index = 0

  /// At the first point.
  init(_ client: BatonClient, _ run: String, _ metric: String) async throws {
    self.client = client
    self.run = run
    self.metric = metric
    part = try await client.metrics(run, metric)
  }

  /// The step of the point; nil behind the last.
  var step: Int? { index < part.steps.count ? part.steps[index] : nil }

  /// The value there.
  var value: Double { part.values[index] }

  /// Goes on to the next point.
  mutating func advance() async throws {
    index += 1
    guard index == part.steps.count, let next = part.next else { return }
    part = try await client.metrics(run, metric, after: next - 1)
    index = 0
  }
}
