import Domain
import Wire

/// Runs for people.
enum RunText {
  /// So many of the newest checkpoints are shown.
  private static let checkpointsMost = 12

  /// Attempts, checkpoints, metrics and what is needed to re-create a run.
  static func history(
    _ run: RunView, artifacts: ArtifactListing? = nil, _ times: TimeText, width: Int? = nil,
    paint: (String, Ink?) -> String = { text, _ in text }
  ) -> String {
    var facts = JobText.facts(run.job, times)
    facts.add("computed twice", run.stepsRedone == 0 ? "nothing" : counted(run.stepsRedone, "point"))
    facts.add("seed", "\(run.provenance.seed)")
    facts.add(
      "data", list(run.provenance.datasets.map { "\($0.name) version \($0.version) (\($0.contentID.prefix(12)))" }))
    facts.add("code", code(run.provenance.source))
    addCapture(of: run, to: &facts)
    facts.add("artifacts", artifacts.flatMap { ArtifactText.summary($0, of: run.id) })
    var sections = [facts.rendered(width: width, paint: paint)]
    if !run.attempts.isEmpty { sections.append(attempts(run.attempts, times).rendered(width: width, paint: paint)) }
    if let all = run.handoffs, !all.isEmpty {
      sections.append(handoffs(all).rendered(width: width, paint: paint))
    }
    if !run.checkpoints.isEmpty {
      let earlier = run.checkpoints.count - checkpointsMost
      let table = checkpoints(run.checkpoints.suffix(checkpointsMost), times).rendered(width: width, paint: paint)
      sections.append(table + (earlier > 0 ? "\n(\(earlier) earlier: --json has all)" : ""))
    }
    if let checks = run.resumeChecks, !checks.isEmpty {
      sections.append(ResumeCheckText.table(checks, times).rendered(width: width, paint: paint))
    }
    if !run.metrics.isEmpty { sections.append(metrics(run.metrics).rendered(width: width, paint: paint)) }
    if let written = run.notes, !written.isEmpty { sections.append(notes(written, times)) }
    return sections.joined(separator: "\n\n")
  }

  private static func list(_ parts: [String]) -> String? { parts.isEmpty ? nil : parts.joined(separator: ", ") }

  private static func code(_ source: SourceProvenance) -> String? {
    guard let commit = source.gitCommit else { return source.directory }
    let branch = source.gitBranch.map { " on \($0)" } ?? ""
    return "\(commit.prefix(12))\(branch)\(source.gitDirty == true ? ", with changes" : "")"
  }

  private static func attempts(_ attempts: [AttemptView], _ times: TimeText) -> Table {
    var table = Table([
      .init("ATTEMPT", isRight: true), .init("LEASE", shrinks: true), .init("NODES", shrinks: true), .init("FROM"),
      .init("STARTED", drops: 0), .init("RAN", drops: 1), .init("OUTCOME"), .init("DETAIL", drops: 2, wraps: true),
    ])
    for attempt in attempts {
      let ran = attempt.runningAt.map { (attempt.endedAt ?? times.now) - $0 }
      table.add([
        "\(attempt.number)", .init(attempt.leaseName), .init(attempt.nodes.map(\.name).joined(separator: ",")),
        .init(origin(of: attempt)),
        .init(times.absolute(attempt.createdAt)), .init(ran.map { "\($0)" } ?? "-"),
        .init(attempt.outcome?.rawValue ?? attempt.state.rawValue), .init(attempt.detail ?? ""),
      ])
    }
    return table
  }

  /// Where the time between attempts went.
  private static func handoffs(_ handoffs: [Handoff]) -> Table {
    var table = Table(
      [.init("HANDOFF"), .init("STOOD STILL", isRight: true)]
        + Handoff.Step.allCases.enumerated().map { index, step in
          .init(step.title.uppercased(), isRight: true, drops: 10 + index)
        })
    for handoff in handoffs {
      table.add(
        [.init("\(handoff.from) -> \(handoff.to)"), .init("\(handoff.total)")]
          + Handoff.Step.allCases.map { .init("\(handoff.length(of: $0))") })
    }
    return table
  }

  private static func checkpoints(_ checkpoints: some Sequence<CheckpointView>, _ times: TimeText) -> Table {
    var table = Table([
      .init("CHECKPOINT", isRight: true), .init("STATE"), .init("ATTEMPT", isRight: true), .init("SIZE", isRight: true),
      .init("DURABLE", drops: 0), .init("", wraps: true),
    ])
    for checkpoint in checkpoints {
      let notes = [
        checkpoint.isFinal ? "last of its attempt" : nil, checkpoint.isLatest ? "latest" : nil,
        (checkpoint.pins ?? []).isEmpty ? nil : "pinned", checkpoint.rejection.map { "rejected: \($0)" },
      ]
      table.add([
        "step \(checkpoint.step)", .init(checkpoint.state.rawValue, checkpoint.state == .corrupt ? .red : nil),
        "\(checkpoint.attemptNumber)", "\(checkpoint.bytes)", .init(checkpoint.durableAt.map(times.relative) ?? "-"),
        .init(notes.compactMap { $0 }.joined(separator: ", ")),
      ])
    }
    return table
  }

  /// So many values that left a curve are listed.
  private static let archivedMost = 40

  /// What left a curve.
  static func archived(_ series: ArchivedSeries, of run: RunView, _ context: Context) -> String {
    var table = Table([
      .init("STEP", isRight: true), .init("VALUE", isRight: true), .init("ATTEMPT", isRight: true),
      .init("COMPUTED", drops: 1), .init("LEFT", drops: 0), .init("WHY", wraps: true),
    ])
    let times = context.times()
    for index in series.steps.indices.prefix(archivedMost) {
      table.add([
        "\(series.steps[index])", "\(series.values[index])", "\(series.attempts[index])",
        .init(times.absolute(series.recordedAt[index])), .init(times.absolute(series.archivedAt[index])),
        .init(series.reasons[index]),
      ])
    }
    let more = series.steps.count - archivedMost
    return context.table(table, empty: "\(run.id) lost no value of \(series.metric)")
      + (more > 0 ? "\n(\(more) more: --csv and --json have all)" : "")
  }

  /// The metrics of a run, in short.
  static func metrics(_ metrics: [MetricSummary]) -> Table {
    var table = Table([
      .init("METRIC"), .init("POINTS", isRight: true), .init("STEPS", isRight: true), .init("LAST", isRight: true),
    ])
    for metric in metrics {
      table.add([
        .init(metric.metric), "\(metric.count)", "\(metric.firstStep)-\(metric.lastStep)", "\(metric.lastValue)",
      ])
    }
    return table
  }

  /// The metric that a person most likely wants to see.
  static func metric(of run: RunView) -> String? {
    run.metrics.contains { $0.metric == "loss" } ? "loss" : run.metrics.first?.metric
  }

  /// The curve of a series, with a mark where another attempt goes on, and why, and what that cost.
  static func plot(_ series: MetricSeries, of run: RunView) -> Plot {
    let isThin = series.total.map { $0 > series.steps.count } ?? false
    let count = isThin ? ", \(counted(series.total ?? 0, "value"))" : ""
    return Plot(
      title: "\(series.metric) of \(run.id) (\(run.job.name))\(count)", xLabel: "step",
      points: zip(series.steps, series.values).map { Plot.Point(x: Double($0), y: $1) },
      boundaries: boundaries(of: series, run).map { boundary in
        Plot.Boundary(x: Double(boundary.after), label: label(boundary, run.attempts))
      })
  }

  /// As the server tells them, else where the attempt of the values changes.
  private static func boundaries(of series: MetricSeries, _ run: RunView) -> [CurveBoundary] {
    if let told = series.boundaries { return told }
    return series.attempts.indices.dropFirst().filter { series.attempts[$0] != series.attempts[$0 - 1] }.map { index in
      let to = series.attempts[index]
      let last = run.attempts.last { $0.number < to && $0.outcome != nil }
      return CurveBoundary(
        before: series.steps[index - 1], after: series.steps[index], from: series.attempts[index - 1], to: to,
        cause: last?.outcome, detail: last?.detail, stepsRedone: 0)
    }
  }

  private static func label(_ boundary: CurveBoundary, _ attempts: [AttemptView]) -> String {
    func place(_ number: Int) -> String {
      guard let attempt = attempts.first(where: { $0.number == number }) else { return "attempt \(number)" }
      return "attempt \(number) in lease \(attempt.leaseName) on \(attempt.nodes.map(\.name).joined(separator: ","))"
    }
    let costs = [
      boundary.cause?.rawValue, boundary.stepsRedone > 0 ? "\(counted(boundary.stepsRedone, "step")) redone" : nil,
      boundary.stoodStill.map { "stood still \($0)" },
    ].compactMap { $0 }
    let words = costs.isEmpty ? "" : ": " + costs.joined(separator: ", ")
    return "\(place(boundary.from)) -> \(place(boundary.to))\(words)"
  }

  /// Whether two runs have the same steps with the same bits.
  static func isEqual(_ comparison: RunComparison) -> Bool {
    comparison.stepsCompared > 0 && comparison.stepsEqual == comparison.stepsCompared && comparison.onlyInRun == 0
      && comparison.onlyInOther == 0
  }

  /// A comparison as sentences.
  static func comparison(_ comparison: RunComparison) -> String {
    var lines = [
      "\(comparison.metric) of \(comparison.run) and \(comparison.other): \(counted(comparison.stepsCompared, "step")) compared, "
        + "\(comparison.stepsEqual) equal in every bit"
    ]
    if comparison.onlyInRun > 0 { lines.append("\(counted(comparison.onlyInRun, "step")) only in \(comparison.run)") }
    if comparison.onlyInOther > 0 {
      lines.append("\(counted(comparison.onlyInOther, "step")) only in \(comparison.other)")
    }
    if let first = comparison.firstDifference {
      lines.append(
        "they part at step \(first.step): \(first.value) and \(first.otherValue); "
          + "the largest difference is \(comparison.largestDifference)")
    }
    if comparison.stepsCompared == 0 { lines.append("no step has a value in both: nothing can be said") }
    if isEqual(comparison) { lines.append("the two are one curve") }
    return lines.joined(separator: "\n")
  }
}
