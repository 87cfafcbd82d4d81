import APIClient
import Domain
import Foundation
import Lab
import TestKit
import Testing
import Wire

/// `baton-train` over leases and over numbers of nodes.
@Suite struct TrainerTests {
  /// Small made-up images, a bright quarter for each of four digits, as a data set.
  private func addDigits(_ s: SystemFixture) async throws {
    let folder = s.folder + "/digits"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    var chance = SeededGenerator(seed: 7)
    let lines = (0..<400).map { index in
      let label = index % 4
      let pixels = (0..<256).map { pixel in
        let isBright = pixel / 128 == label / 2 && pixel % 16 / 8 == label % 2
        return String(UInt8.random(in: 0..<120, using: &chance) + (isBright ? 60 : 0))
      }
      return pixels.joined(separator: ",") + ",\(label)"
    }
    try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: folder + "/digits.csv"))
    let added = try await s.baton("data", "add", "digits", folder)
    try #require(added.status == 0, "\(added.output)")
  }

  /// What a checkpoint of Downpour says about who did how much.
  private struct State: Decodable {
    struct Downpour: Decodable { var workers: [Worker] }
    struct Worker: Decodable { var steps: Int }
    var step: Int
    var downpour: Downpour
    var steps: [Int] { downpour.workers.map(\.steps) }
  }

  private func state(of job: JobID, step: Int, _ s: SystemFixture) async throws -> State {
    let checkpoint = try #require(try await s.client.checkpoints(of: "\(job)").items.first { $0.step == step })
    let folder = "\(s.folder)/step-\(step)"
    let result = try await s.baton("checkpoint", "download", "\(checkpoint.id)", folder)
    try #require(result.status == 0, "\(result.output)")
    return try JSONDecoder().decode(State.self, from: Data(contentsOf: URL(fileURLWithPath: folder + "/state.json")))
  }

  /// The text of a job of two nodes that trains on the digits.
  private func training(_ words: String) -> String {
    """
    name: digits
    resources: {nodes: 2, gpus_per_node: 0}
    launcher: {kind: plain, processes_per_node: 1}
    data: [digits]
    run: baton-train --epochs 100000 --batch 32 --channels 16,32 --hidden 32 \(words)
    checkpoint: {every: 5s, keep: {last: 10}}
    seeds: {global: 7}

    """
  }

  /// A run that was in two leases, and was told to leave the second once it had made `share` times the steps of the
  /// first, and 50 more; the step that it went on from there.
  private func overTwoLeases(
    _ words: String, thenFor share: Int, _ s: SystemFixture
  ) async throws -> (job: JobID, from: Int) {
    try await addDigits(s)
    try await s.lease("first", seconds: 20)
    let job = try await s.submit(training(words)).id
    // The second begins when the nodes were wiped: they are not to be wiped under it.
    for node in try s.lab.nodes { try await s.wiped(node.name) }
    try await s.lease("second")
    let resumed = try await s.wait(job, until: "at work again") {
      $0.attempt?.number == 2 && ($0.lastStep ?? 0) > ($0.attempt?.resumedFromStep ?? .max)
    }
    let from = try #require(resumed.attempt?.resumedFromStep)
    #expect(from > 0)
    try await s.wait(job, until: "far further") { ($0.lastStep ?? 0) >= from + share * from + 50 }
    _ = try await s.client.cancel("\(job)")
    try await s.wait(job, .cancelled)
    let run = try await s.client.run("\(job)")
    #expect(run.attempts.map(\.outcome) == [.leaseEnded, .cancelled], "\(run.attempts.map(\.detail))")
    #expect(run.stepsRedone == 0)
    return (job, from)
  }

  @Test func theSynchronousModeGoesOnBitByBitInTheNextLease() async throws {
    try await SystemFixture.with(nodes: 2, limit: .seconds(300)) { s in
      // With a rate that falls the weights would soon stand still, and anything would be equal.
      let words = "--learning-rate 0.001 --learning-rate-decay 1"
      let (resumed, from) = try await overTwoLeases(words, thenFor: 0, s)
      let series = try await s.client.metrics("\(resumed)", "loss")
      let last = try #require(series.steps.last)
      #expect(series.steps == Array(1...last) && last > from)
      let whole = try await s.submit(training("\(words) --steps-max \(last)")).id
      try await s.wait(whole, .completed)
      #expect(series.values == (try await s.client.metrics("\(whole)", "loss")).values)
    }
  }

  /// Two workers that wait for nobody, and beside each a share of the parameters.
  ///
  /// No two runs are the same, so what is exact is counted (each worker's steps), and the loss, which only rank 0 tells,
  /// may be a quarter higher than before the interruption, on the mean of twenty steps; from there it falls further.
  @Test func downpourGoesOnInTheNextLeaseAndLosesNoStepOfAnyWorker() async throws {
    try await SystemFixture.with(nodes: 2, limit: .seconds(240)) { s in
      let (job, from) = try await overTwoLeases("--mode downpour --learning-rate 0.00003", thenFor: 1, s)
      let run = try await s.client.run("\(job)")
      let series = try await s.client.metrics("\(job)", "loss")
      let (first, second) = (losses(series, of: 1), losses(series, of: 2))
      let before = try await state(of: job, step: from, s)
      #expect(before.step == from && before.steps.reduce(0, +) == from && before.steps.allSatisfy { $0 > 0 })
      #expect(first.count == before.steps[0], "rank 0 told every step that it made until it saved, and none after")
      #expect(zip(series.steps, series.attempts).allSatisfy { ($0 > from) == ($1 == 2) })
      let last = try #require(run.checkpoints.last { $0.state == .durable }?.step)
      let after = try await state(of: job, step: last, s)
      #expect(after.steps.reduce(0, +) == last && zip(after.steps, before.steps).allSatisfy { $0 > $1 })
      let toldBySave = series.steps.count { $0 <= last }
      #expect(toldBySave == after.steps[0], "each step of rank 0 has one value, over both leases")

      let window = min(20, first.count)
      let (begin, stop) = (mean(first.prefix(window)), mean(first.suffix(window)))
      let (again, end) = (mean(second.prefix(window)), mean(second.suffix(window)))
      #expect(stop < begin && again < 1.25 * stop && end < stop, "\(begin) \(stop) | \(again) \(end)")
    }
  }

  private func losses(_ series: MetricSeries, of attempt: Int) -> [Double] {
    zip(series.values, series.attempts).filter { $0.1 == attempt }.map(\.0)
  }

  private func mean(_ values: ArraySlice<Double>) -> Double { values.reduce(0, +) / Double(values.count) }

  /// What the record of a study has of its result.
  private struct Record: Decodable {
    struct Result: Decodable { var rows: [Row] }
    struct Row: Decodable {
      var value: Int
      var rates: [Double]
      var mean: Double
      var speedUp: Double
      var efficiency: Double
    }
    var result: Result?
  }

  @Test func aScalingStudyHasARowForOneNodeAndOneForTwo() async throws {
    try await SystemFixture.with(nodes: 2, limit: .seconds(240)) { s in
      try await addDigits(s)
      try await s.lease()
      let path = s.folder + "/digits.yaml"
      let file = """
        name: digits
        resources:
          nodes: ${{ matrix.nodes }}
          gpus_per_node: 0
        launcher: {kind: plain, processes_per_node: 1}
        data: [digits]
        run: [baton-train, --epochs, "100", --channels, "16,32", --hidden, "32", --steps-max, "60"]
        seeds: {global: 7}

        """
      try Data(file.utf8).write(to: URL(fileURLWithPath: path))
      let said = try await s.baton(
        "study", "scaling", path, "--nodes", "1,2", "--repeats", "2", "--images-per-step", "64", "--html",
        s.folder + "/digits.html")
      #expect(said.status == 0, "\(said.output)")
      for head in ["NODES", "IMAGES/S", "SPEED-UP", "EFFICIENCY"] { #expect(said.output.contains(head)) }

      let saved = try Data(contentsOf: URL(fileURLWithPath: s.folder + "/digits.scaling-study.json"))
      let rows = try #require(try JSONDecoder().decode(Record.self, from: saved).result?.rows)
      try #require(rows.map(\.value) == [1, 2] && rows.allSatisfy { $0.rates.count == 2 && $0.mean > 0 }, "\(rows)")
      #expect(rows[0].speedUp == 1 && rows[0].efficiency == 1)
      #expect(rows[1].speedUp == rows[1].mean / rows[0].mean && rows[1].efficiency == rows[1].speedUp / 2)
      let percent = Int((rows[1].efficiency * 100).rounded())
      #expect(said.output.contains("100%") && said.output.contains("\(percent)%"), "\(said.output)")
      let page = try String(contentsOfFile: s.folder + "/digits.html", encoding: .utf8)
      #expect(page.contains("<svg") && page.contains("\(percent)%"))

      // Each ran on as many nodes as its row says, one step of all of them at a time.
      for job in try await s.client.jobs(group: "group-1").items {
        let run = try await s.client.run("\(job.id)")
        #expect(run.attempts.first.map { "\($0.nodes.count)" } == job.member?.values["nodes"])
        #expect(try await s.client.metrics("\(job.id)", "loss").steps == Array(1...60))
      }
    }
  }
}
