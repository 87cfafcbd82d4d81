public import Domain
public import Wire

/// A run as MLflow's file store lays it out: `EXPERIMENT/RUN/{meta.yaml,metrics,params,tags,artifacts}`.
///
/// The ids are made of who the run is, so that exporting it again makes the same run again.
public struct MLflowFiles: Sendable {
  private let run: RunView
  private let clock: RunClock
  private let root: String
  private let names: [String: String]

  /// The files of `run` in a store that will be the folder `root`, an absolute path.
  public init(_ run: RunView, root: String) {
    self.run = run
    self.root = root
    clock = RunClock(run)
    names = Self.fileNames(run.metrics.map(\.metric))
  }

  /// `vision/mnist-cnn`: runs of one job's name are compared with each other.
  public var experiment: String { "\(run.job.project)/\(run.job.name)" }
  /// The number of the experiment, which is the name of its folder.
  public var experimentID: String {
    // Eighteen digits, as MLflow's own.
    String(Self.hash(experiment, seed: 1) % 900_000_000_000_000_000 + 100_000_000_000_000_000)
  }
  /// The id of the run, which is the name of its folder.
  public var runID: String {
    let text = "\(run.job.project)/\(run.id)/\(run.job.submittedAt.microseconds)"
    return [UInt64(2), 3].map { seed in
      let digits = String(Self.hash(text, seed: seed), radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }

  private var folder: String { "\(experimentID)/\(runID)" }

  /// Where files that belong to the run lie, such as its job file.
  public var artifacts: String { "\(folder)/artifacts" }

  /// Everything but values of metrics and artifacts, by path.
  public var files: [String: String] {
    var files = ["\(experimentID)/meta.yaml": experimentMeta, "\(folder)/meta.yaml": runMeta]
    for (name, value) in parameters { files["\(folder)/params/\(Self.safe(name))"] = String(value.prefix(6000)) }
    for (name, value) in tags { files["\(folder)/tags/\(Self.safe(name))"] = value }
    return files
  }

  /// The file of a metric's values.
  public func path(ofMetric metric: String) -> String { "\(folder)/metrics/\(names[metric] ?? Self.safe(metric))" }

  /// A line of that file.
  public func line(step: Int, _ value: Double, said: Timestamp?, attempt: Int) -> String {
    "\(clock.time(said, attempt: attempt).microseconds / 1000) \(value) \(step)\n"
  }

  private var parameters: [String: String] {
    var parameters = [
      "seed": "\(run.provenance.seed)", "nodes": "\(run.job.nodes)", "attempts": "\(run.attempts.count)",
    ]
    for dataset in run.provenance.datasets {
      parameters["data.\(dataset.name)"] = "version \(dataset.version), \(dataset.contentID)"
    }
    return parameters
  }

  private var tags: [String: String] {
    var tags = [
      "mlflow.runName": "\(run.id) \(run.job.name)", "mlflow.user": run.job.user, "mlflow.source.type": "JOB",
      "baton.run": "\(run.id)", "baton.state": run.job.state.rawValue, "baton.project": run.job.project,
      "baton.steps_redone": "\(run.stepsRedone)",
      "baton.attempts": run.attempts.map { "\($0.number): \($0.outcome?.rawValue ?? $0.state.rawValue)" }
        .joined(separator: ", "),
    ]
    tags["mlflow.source.git.commit"] = run.provenance.source.gitCommit
    tags["mlflow.source.git.branch"] = run.provenance.source.gitBranch
    tags["mlflow.source.name"] = run.provenance.source.directory
    return tags
  }

  private var experimentMeta: String {
    Self.yaml([
      ("artifact_location", "file://\(root)/\(experimentID)"), ("experiment_id", experimentID),
      ("lifecycle_stage", "active"), ("name", experiment),
    ]) + "creation_time: \(milliseconds(clock.start))\nlast_update_time: \(milliseconds(clock.end ?? clock.start))\n"
  }

  private var runMeta: String {
    Self.yaml([
      ("artifact_uri", "file://\(root)/\(artifacts)"), ("entry_point_name", ""), ("experiment_id", experimentID),
      ("lifecycle_stage", "active"), ("run_id", runID), ("run_uuid", runID), ("run_name", "\(run.id) \(run.job.name)"),
      ("source_name", run.provenance.source.directory ?? ""),
      ("source_version", run.provenance.source.gitCommit ?? ""), ("user_id", run.job.user),
    ])
      + "source_type: 2\nstart_time: \(milliseconds(clock.start))\n"
      + "end_time: \(clock.end.map(milliseconds) ?? "null")\nstatus: \(Self.status(run.job.state))\ntags: []\n"
  }

  private func milliseconds(_ time: Timestamp) -> String { "\(time.microseconds / 1000)" }

  /// `RunStatus` of MLflow's service.proto.
  static func status(_ state: JobState) -> Int {
    switch state {
    case .completed: 3
    case .failed, .timeout: 4
    case .cancelled: 5
    case .pending, .held: 2
    default: 1
    }
  }

  /// Lines of a mapping; every value is a text, quoted as YAML 1.2 and JSON both read it.
  private static func yaml(_ fields: [(String, String)]) -> String {
    fields.map { "\($0.0): \(quoted($0.1))\n" }.joined()
  }

  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F: quoted += " "
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  // MARK: - Names

  /// A file for each metric, by the metric's name.
  ///
  /// MLflow takes letters, digits, `_`, `-`, `.`, space, `:` and `/`, which makes folders. Two metrics never share a
  /// file, and no file is in the way of a folder.
  static func fileNames(_ metrics: [String]) -> [String: String] {
    var names: [String: String] = [:]
    var taken: Set<String> = []
    let wanted = metrics.sorted().map { ($0, safe($0)) }
    let files = Set(wanted.map(\.1))
    for (metric, name) in wanted {
      let parents = name.split(separator: "/").indices.dropFirst().map {
        name.split(separator: "/")[..<$0].joined(separator: "/")
      }
      var file = parents.contains(where: files.contains) ? name.replacing("/", with: ".") : name
      var number = 2
      let base = file
      while !taken.insert(file).inserted {
        file = "\(base)-\(number)"
        number += 1
      }
      names[metric] = file
    }
    return names
  }

  /// A name as MLflow takes it, and that stays inside its folder.
  static func safe(_ name: String) -> String {
    let parts = name.split(separator: "/").map { part -> String in
      let text = String(
        part.unicodeScalars.map { scalar -> Character in
          let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(Character(scalar)))
          return isPlain || "_-. :".unicodeScalars.contains(scalar) ? Character(scalar) : "_"
        })
      return text.allSatisfy { $0 == "." } ? "_" : text
    }
    return parts.isEmpty ? "_" : parts.joined(separator: "/")
  }

  /// FNV-1a, for ids that are the same everywhere.
  private static func hash(_ text: String, seed: UInt64) -> UInt64 {
    text.utf8.reduce(0xCBF2_9CE4_8422_2325 ^ seed &* 0x9E37_79B9_7F4A_7C15) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}
