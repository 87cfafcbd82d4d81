import APIClient
import Domain
import Foundation
import Lab
import TestKit
import Testing
import Wire

/// What Baton exports or packs, as the programs read it that it is for.
@Suite struct ExportTests {
  /// A Python that has TensorBoard, MLflow, RO-Crate and WebDataset: `scripts/python/export.txt`.
  private static let python = ProcessInfo.processInfo.environment["BATON_TEST_PYTHON"]
    .map { $0 + "/export/bin/python3" }.flatMap { FileManager.default.isExecutableFile(atPath: $0) ? $0 : nil }
  private static let needed: Comment = "it needs other programs' readers: scripts/python/install.sh installs them"

  private static var readers: String { Places.programsFolder + "/readers.py" }

  private func read<T: Decodable>(_ kind: String, _ folder: String, as type: T.Type = T.self) async throws -> T {
    let end = try await SystemFixture.run(try #require(Self.python), [Self.readers, kind, folder])
    // What a reader warns of comes before what it read.
    guard end.status == 0, let line = end.output.split(separator: "\n").last else {
      throw SystemFailure("\(kind): status \(end.status): \(end.output)")
    }
    return try JSONDecoder().decode(T.self, from: Data(line.utf8))
  }

  private struct MLflowRun: Decodable {
    var experiment: String
    var name: String
    var status: String
    var params: [String: String]
    var tags: [String: String]
    var metrics: [String: [Point]]
    var artifacts: [String]
  }

  private struct Crate: Decodable {
    var name: String
    var dangling: [String]
    var files: [String: Bool]
    var status: String
    var results: [String]
    var objects: [String]
    var instrument: String
  }

  /// Step, value and time of a reader.
  private struct Point: Decodable {
    var step: Int
    var value: Double

    init(from decoder: any Decoder) throws {
      var list = try decoder.unkeyedContainer()
      step = try list.decode(Int.self)
      value = try Double(list.decode(String.self)) ?? .nan
    }
  }

  @Test(.enabled(if: python != nil, needed)) func everyReaderSeesTheWholeCurve() async throws {
    try await SystemFixture.with(limit: .seconds(300)) { s in
      try await s.lease("first", seconds: 20)
      try await s.lease("second", seconds: 3600, startIn: 20)
      // A value that is no number is a value.
      let odd =
        "import json, os; open(os.environ['BATON_METRICS'], 'a').write("
        + "'\\n'.join(json.dumps({'step': i, 'metric': 'val/loss', 'value': v}) "
        + "for i, v in enumerate([0.1, float('nan'), 0.25])) + '\\n')"
      let counting = try await s.count("--steps 500").id
      try await s.wait(counting, .completed)
      try await s.expectOneCurve(counting, steps: 500)
      let job = try await s.submit(
        """
        name: odd
        run: [/usr/bin/python3, -c, \(try JSONText.quoted(odd))]

        """
      ).id
      try await s.wait(job, .completed)

      let series = try await s.client.curve("\(counting)", "sum")
      #expect(series.total == 500 && series.boundaries?.map(\.cause) == [.leaseEnded], "\(series)")
      #expect(series.boundaries?.first?.stoodStill != nil)
      let oddSeries = try await s.client.curve("\(job)", "val/loss")
      #expect(oddSeries.values.map(\.description) == ["0.1", "nan", "0.25"])

      let folder = s.folder + "/exports"
      func export(_ job: JobID, _ format: String, _ more: String...) async throws -> String {
        let output = "\(folder)/\(job)-\(format)"
        let end = try await SystemFixture.run(
          Places.find().bin + "/baton", ["run", "export", "\(job)", "--format", format, "--output", output] + more,
          environment: ["BATON_CONFIG": s.lab.layout.clientConfiguration])
        #expect(end.status == 0, "\(end.output)")
        return output
      }
      let events: [String: [Point]] = try await read("tensorboard", export(counting, "tensorboard"))
      #expect(events["sum"]?.map(\.step) == series.steps)
      #expect(events["sum"]?.map(\.value) == series.values)
      let oddEvents: [String: [Point]] = try await read("tensorboard", export(job, "tensorboard"))
      #expect(oddEvents["val/loss"]?.map { Float($0.value).description } == ["0.1", "nan", "0.25"])

      let runs: [MLflowRun] = try await read("mlflow", export(counting, "mlflow"))
      let run = try #require(runs.first)
      #expect(runs.count == 1 && run.status == "FINISHED" && run.experiment.hasSuffix("/counting"))
      #expect(run.metrics["sum"]?.map(\.step) == series.steps && run.metrics["sum"]?.map(\.value) == series.values)
      #expect(run.artifacts.contains("job.yaml") && run.params["seed"] != nil, "\(run.artifacts)")
      #expect(run.tags["baton.attempts"] == "1: LEASE_ENDED, 2: COMPLETED")
      let oddRuns: [MLflowRun] = try await read("mlflow", export(job, "mlflow"))
      #expect(oddRuns.first?.metrics["val/loss"]?.map(\.value.description) == ["0.1", "nan", "0.25"])

      let crate: Crate = try await read("ro-crate", export(counting, "ro-crate"))
      #expect(crate.dangling == [] && crate.name.hasPrefix("counting") && crate.instrument == "#software", "\(crate)")
      #expect(crate.files.keys.contains("metrics-long.csv") && crate.files.values.allSatisfy { $0 }, "\(crate.files)")
      #expect(crate.status.hasSuffix("CompletedActionStatus") && crate.objects == ["job.yaml"])
      #expect(crate.results.contains { $0.hasPrefix("#checkpoint-") }, "\(crate.results)")

      let csv = try await export(counting, "csv")
      let wide = try String(contentsOfFile: csv + "/metrics.csv", encoding: .utf8).split(separator: "\n")
      #expect(wide.first == "step,sum" && wide.count == 501 && wide.last == "500,125250.0")
      // Made before: only with --force, and never where something else lies.
      let again = try await s.baton("run", "export", "\(counting)", "--format", "csv", "--output", csv)
      #expect(again.status == 73 && again.output.contains("--force"), "\(again.output)")
      _ = try await export(counting, "csv", "--force")
      let mine = try await s.baton(
        "run", "export", "\(counting)", "--format", "csv", "--output", s.folder, "--force")
      #expect(mine.status == 73 && FileManager.default.fileExists(atPath: s.folder + "/exports"), "\(mine.output)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).allSatisfy { !$0.contains("partial") })

      let report = "\(s.folder)/report.html"
      let told = try await s.baton("run", "report", "\(counting)", "\(job)", "--output", report)
      #expect(told.status == 0, "\(told.output)")
      let page = try String(contentsOfFile: report, encoding: .utf8)
      for words in ["counting", "LEASE_ENDED \u{2192} attempt 2", "val/loss", "No numbers", "name: odd"] {
        #expect(page.contains(words), "\(words)")
      }
      #expect(!page.contains("<script") && !page.contains("src=") && !page.contains("href=\"/"))
      let values = try await s.baton("run", "metrics", "\(counting)", "sum", "--csv")
      #expect(values.output.split(separator: "\n").count == 501)
    }
  }

  @Test(.enabled(if: python != nil, needed)) func aWebDatasetReaderOpensWhatWasPacked() async throws {
    try await SystemFixture.with(limit: .seconds(200)) { s in
      try await s.lease()
      var files: [String: String] = [:]
      for sample in 0..<40 {
        files["a/\(sample).txt"] = String(repeating: "text of \(sample) ", count: 4000)
        files["a/\(sample).cls"] = "\(sample % 10)"
      }
      _ = try await s.register("samples", files)
      let pack = try await s.client.pack("samples", PackRequest(shardBytes: .mebibytes(1)))
      #expect(pack.shards > 1)
      let output = s.folder + "/seen.json"
      let job = try await s.submit(
        """
        name: reading
        run: [\(try #require(Self.python)), \(Self.readers), webdataset, \(output)]
        data: [{name: samples, mode: shards}]

        """
      ).id
      let end = try await s.wait(job, .completed, .failed, .held)
      #expect(end.state == .completed, "\(end.reasonDetail ?? "")")
      let seen = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: output)))
      let samples = try #require(seen as? [String: [Any]])
      #expect(Set(samples.keys) == Set((0..<40).map { "a/\($0)" }))
      for sample in 0..<40 {
        #expect(samples["a/\(sample)"]?.first as? String == files["a/\(sample).txt"])
        #expect(samples["a/\(sample)"]?.last as? Int == sample % 10)
      }
    }
  }
}

/// Text as JSON, which YAML reads too.
private enum JSONText {
  static func quoted(_ text: String) throws -> String {
    String(decoding: try JSONEncoder().encode(text), as: UTF8.self)
  }
}
