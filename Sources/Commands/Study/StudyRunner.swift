import APIClient
import Domain
import Foundation
import Wire

/// Makes the runs of a study, waits for them, and sums them up; or goes on where that was interrupted.
struct StudyRunner {
  let options: StudyOptions

  /// Prints the result; throws `jobFailed` after it where runs are missing from it.
  func run(_ question: StudyQuestion) async throws {
    try await options.global.withClient { client, context in
      let path = recordPath(question.kind)
      var record = try recorded(question, at: path, context)
      let group = try await group(&record, at: path, client, context)
      let (rates, missing) = try await rates(of: group, question, client, context)
      let result = StudyResult(question.kind, rates: rates)
      record.result = result
      try record.save(path)
      if let html = options.html { try write(StudyPage.html(result, title: title(question.kind)), to: html) }
      try context.show(result) { text(result, context) }
      for line in missing { context.console.note(line) }
      if !missing.isEmpty { throw CommandFailure(.jobFailed) }
    }
  }

  private func recordPath(_ kind: StudyQuestion.Kind) -> String {
    if let record = options.record { return record }
    let url = URL(fileURLWithPath: options.file).standardizedFileURL
    return url.deletingPathExtension().path + ".\(kind.rawValue)-study.json"
  }

  private func title(_ kind: StudyQuestion.Kind) -> String {
    let name = URL(fileURLWithPath: options.file).deletingPathExtension().lastPathComponent
    return kind == .scaling ? "\(name): images a second by nodes" : "\(name): images a second by batch size"
  }

  /// What there is of this study already, or a new record, which is on the disk when this returns.
  private func recorded(_ question: StudyQuestion, at path: String, _ context: Context) throws -> StudyRecord {
    let file = try StudyFile.make(read(), name: options.file, question, atOnce: options.atOnce)
    if let known = try StudyRecord.load(path) {
      guard known.question == question, known.file == file else {
        throw CommandFailure(
          .conflict,
          "\(path) is of a study with another file or other values: move it away to begin anew, or name another with --record"
        )
      }
      context.console.note("goes on with \(path)")
      return known
    }
    let record = StudyRecord(question: question, file: file, key: Submit.newKey())
    try record.save(path)
    return record
  }

  private func read() throws -> String {
    do {
      return try String(contentsOfFile: options.file, encoding: .utf8)
    } catch {
      throw CommandFailure(.badInput, "cannot read the job file \(options.file): \(error.localizedDescription)")
    }
  }

  /// The study's group, submitted if it was not.
  private func group(
    _ record: inout StudyRecord, at path: String, _ client: BatonClient, _ context: Context
  ) async throws -> GroupView {
    if let group = record.group { return try await client.group("\(group)") }
    let url = URL(fileURLWithPath: options.file).standardizedFileURL
    let provenance = await Provenance.collect(
      folder: url.deletingLastPathComponent().path, host: ProcessInfo.processInfo.hostName,
      environment: ProcessInfo.processInfo.environment)
    let answer = try await client.submit(
      SubmitRequest(
        file: record.file, fileName: url.lastPathComponent, submissionKey: record.key, provenance: provenance))
    guard let group = answer.group else {
      throw CommandFailure(.internalError, "the server made one job of a matrix: is it of an older version?")
    }
    record.group = group.id
    try record.save(path)
    context.console.note(GroupText.submitted(group))
    return group
  }

  /// Waits for all runs; the rates by value, and a line for each run that has none.
  private func rates(
    of group: GroupView, _ question: StudyQuestion, _ client: BatonClient, _ context: Context
  ) async throws -> (rates: [Int: [Double]], missing: [String]) {
    var rates: [Int: [Double]] = [:]
    var missing: [String] = []
    for (done, job) in group.jobs.enumerated() {
      let end = try await JobFollower(client: client).follow("\(job)") { _ in }
      guard let value = end.member?.values[question.kind.axis].flatMap({ Int($0) }) else {
        throw CommandFailure(.internalError, "\(job) does not say which \(question.kind.axis) it ran with")
      }
      let name = "\(job) (\(question.kind.axis) \(value))"
      guard end.state == .completed else {
        missing.append("\(name) is \(end.state.rawValue) and counts nothing: baton explain \(job)")
        continue
      }
      let series = try await client.metrics("\(job.rawValue)", question.metric)
      guard let rate = question.rate(series, value: value) else {
        missing.append(
          "\(name) has too few points of '\(question.metric)' beyond \(counted(question.warmUp, "step")) of warm-up")
        continue
      }
      rates[value, default: []].append(rate)
      context.console.note("\(done + 1) of \(group.jobs.count): \(name) \(StudyText.number(rate)) images/s")
    }
    return (rates, missing)
  }

  private func text(_ result: StudyResult, _ context: Context) -> String {
    guard !result.rows.isEmpty else { return "no run was measured" }
    let plot = StudyText.plot(result).rendered(
      width: min(context.console.width, 100), height: 12, paint: context.console.paint)
    return context.table(StudyText.table(result), empty: "") + "\n\n" + plot
  }

  private func write(_ text: String, to path: String) throws {
    do {
      try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw CommandFailure(.badInput, "cannot write \(path): \(error.localizedDescription)")
    }
  }
}
