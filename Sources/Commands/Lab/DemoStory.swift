import APIClient
import ArgumentParser
import Domain
import Foundation
import Lab
import Wire

/// The demo, step by step: what is done, and what is told of it.
struct DemoStory: Sendable {
  let context: Context
  let dataFolder: String
  let jobFile: String
  let leaseLength: TimeSpan
  let gap: TimeSpan

  /// Long enough for the rest of the run on a slow machine; given back as soon as it is done.
  private static let longLease = TimeSpan.minutes(30)

  /// Prints a line of the story.
  func say(_ text: String) {
    if context.json { context.console.note(text) } else { context.console.out(text) }
  }

  private func heading(_ number: Int, _ text: String) {
    say("\n" + context.console.paint("\(number)/5  \(text)", .bold))
  }

  /// Does it all on the lab that `builder` brings up.
  ///
  /// `secondsTotal` of the result is left at 0.
  func tell(_ builder: LabBuilder) async throws -> DemoResult {
    _ = try DataFolder.files(at: dataFolder)
    heading(1, "A testbed of \(counted(builder.nodes, "node")) on this machine, in \(builder.root)")
    let lab = try await builder.up()
    if let file = lab.clientConfiguration { say("from another terminal: export BATON_CONFIG=\(file)") }
    return try await builder.withClient(of: lab) { client in
      try await giveBackLeftovers(client)
      heading(2, "Data: \(dataFolder) goes to the object store, once, under its hash")
      let data = try await DataUpload(client: client, console: context.console)
        .run(name: "mnist", path: dataFolder, source: "baton lab demo")
      say(
        "mnist version \(data.version): \(counted(data.objects, "file")), \(data.total), content \(data.contentID.prefix(12))"
      )
      let nodes = lab.nodes.map(\.name)
      let second = try await makeLeases(client, nodes)
      let interrupted = try await runInterrupted(client)
      _ = try await client.deleteLease(second.name)
      heading(5, "The same job in one lease, without interruption")
      let uninterrupted = try await runUninterrupted(client, Array(nodes.prefix(2)))
      return try await conclude(client, interrupted, uninterrupted)
    }
  }

  /// A demo that was ended midway has left leases that would be in the way.
  private func giveBackLeftovers(_ client: BatonClient) async throws {
    for lease in try await client.leases().items where ["first", "second", "third"].contains(lease.name) {
      _ = try await client.deleteLease("\(lease.id)")
    }
  }

  /// Makes both, and gives the second.
  private func makeLeases(_ client: BatonClient, _ nodes: [String]) async throws -> LeaseView {
    heading(3, "Two leases that share no node, with \(gap) between them")
    let first = try await client.createLease(
      LeaseRequest(name: "first", nodeNames: Array(nodes.prefix(2)), duration: Self.duration(leaseLength)))
    let second = try await client.createLease(
      LeaseRequest(
        name: "second", nodeNames: Array(nodes.dropFirst(2).prefix(2)), start: (first.end + gap).iso8601,
        duration: Self.duration(Self.longLease)))
    say(LeaseText.table([first, second], context.times()).rendered(width: nil, paint: context.console.paint))
    return second
  }

  private func runInterrupted(_ client: BatonClient) async throws -> JobView {
    heading(4, "A job that needs longer than the first lease lasts")
    let job = try await submit(client, name: "mnist")
    let end = try await DemoFollower(story: self, client: client).follow(job)
    guard let attempt = end.attempt, attempt.number > 1 else {
      throw CommandFailure(
        .foundTrouble,
        "\(end.id) was over before its first lease was, so there is no handoff to show: "
          + "give a shorter --lease-seconds, or more --epochs in \(jobFile)")
    }
    return end
  }

  private func runUninterrupted(_ client: BatonClient, _ nodes: [String]) async throws -> JobView {
    _ = try await client.createLease(
      LeaseRequest(name: "third", nodeNames: nodes, duration: Self.duration(Self.longLease)))
    let job = try await submit(client, name: "mnist-uninterrupted")
    let end = try await DemoFollower(story: self, client: client).follow(job)
    _ = try await client.deleteLease("third")
    return end
  }

  private func submit(_ client: BatonClient, name: String) async throws -> JobID {
    let environment = ProcessInfo.processInfo.environment
    let command = try Submit.parse([jobFile, "--name", name])
    let request = try await command.request(
      key: Submit.newKey(), environment: environment, host: ProcessInfo.processInfo.hostName)
    let answer = try await client.submit(request)
    guard let job = answer.job else {
      throw CommandFailure(.badInput, "\(jobFile) was not taken: \(answer.text.joined(separator: "; "))")
    }
    say("\(job.id) is submitted: \(URL(fileURLWithPath: jobFile).lastPathComponent), \(counted(job.nodes, "node"))")
    return job.id
  }

  private func conclude(
    _ client: BatonClient, _ interrupted: JobView, _ uninterrupted: JobView
  ) async throws -> DemoResult {
    let (one, other) = ("\(interrupted.id.run)", "\(uninterrupted.id.run)")
    let comparison = try await client.compare(one, other, metric: "loss")
    let (run, otherRun) = (try await client.run(one), try await client.run(other))
    let series = try await client.curve(one, "loss")
    func accuracy(_ run: RunView) -> Double? { run.metrics.first { $0.metric == "test_accuracy" }?.lastValue }
    let result = DemoResult(
      stepsCompared: comparison.stepsCompared, stepsEqual: comparison.stepsEqual, stepsLost: comparison.onlyInOther,
      stepsRedone: run.stepsRedone, accuracyInterrupted: accuracy(run), accuracyUninterrupted: accuracy(otherRun),
      handoffSeconds: run.handoffs?.first?.besideGap.seconds, secondsTotal: 0)
    say(
      "\n"
        + RunText.plot(series, of: run)
        .rendered(width: min(context.console.width, 110), height: 12, paint: context.console.paint))
    say("\n" + RunText.comparison(comparison) + "\n")
    say(Self.facts(result).rendered(paint: context.console.paint))
    for handoff in run.handoffs ?? [] { say("handoff \(handoff.from) -> \(handoff.to): \(handoff)") }
    say("\nlook at it: \(client.url)/runs/\(interrupted.id.run.rawValue)")
    return result
  }

  /// The figures for people.
  static func facts(_ result: DemoResult) -> Facts {
    var facts = Facts()
    let isEqual = result.stepsCompared > 0 && result.stepsEqual == result.stepsCompared
    facts.add("steps compared", "\(result.stepsCompared)")
    facts.add("steps equal in every bit", "\(result.stepsEqual)", isEqual ? .green : .red)
    facts.add("steps lost", "\(result.stepsLost)", result.stepsLost == 0 ? .green : .red)
    facts.add("steps computed twice", "\(result.stepsRedone)")
    facts.add("test accuracy, two leases", result.accuracyInterrupted.map { Plot.fixed($0, 4) } ?? "unknown")
    facts.add("test accuracy, one lease", result.accuracyUninterrupted.map { Plot.fixed($0, 4) } ?? "unknown")
    facts.add("handoff", result.handoffSeconds.map { Plot.fixed($0, 1) + " s beside the gap" } ?? "unknown")
    return facts
  }

  private static func duration(_ span: TimeSpan) -> String { "\(Int(span.seconds))s" }
}
