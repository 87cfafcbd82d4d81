import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton run verify-resume`.
struct RunVerifyResume: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify-resume",
    abstract: "Prove that a run goes on from a checkpoint as it did: replay the steps after it, twice, and compare.",
    discussion: Help.examples(
      "baton run verify-resume 17@120 --steps 50", "baton run verify-resume run-17@120 --steps 50 --tolerance 1e-6",
      "baton run verify-resume 17@120 --steps 50 --metric train_loss --json")
      + "\n\nThe exit status is 0 where all values are equal in every bit, or within the tolerance; 1 where they diverge,\n"
      + "and then the first ingredient is named that was not loaded as it was saved, if the program tells them\n"
      + "(docs/contract.md); 100 where a replay failed. The replays are two jobs; they take nodes as any other.")

  @Argument(help: "The run and the step of a checkpoint that it went on from, as in 17@120.", transform: Place.init)
  var place: Place

  @Option(help: "How many steps after the checkpoint.")
  var steps: Int

  @Option(help: "So much of the greater of two values they may differ by, as in 1e-6. (default: not at all)")
  var tolerance: Double?

  @Option(help: "By which metric. (default: loss, else the first)")
  var metric: String?

  @Flag(help: "Only begin; `baton run show` has the verdict later.")
  var noWait = false

  @OptionGroup var global: GlobalOptions

  /// A step of a run.
  struct Place: Hashable {
    let run: String
    let step: Int

    init(_ text: String) throws {
      let parts = text.split(separator: "@", omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty, let step = Int(parts[1]), step >= 0 else {
        throw ValidationError("'\(text)' is no run and step: write them as in 17@120")
      }
      run = String(parts[0])
      self.step = step
    }
  }

  func run() async throws {
    try await global.withClient { client, context in
      let request = ResumeCheckRequest(step: place.step, steps: steps, metric: metric, tolerance: tolerance)
      let begun = try await client.verifyResume(place.run, request)
      if noWait { return try context.show(begun) { ResumeCheckText.begun(begun) } }
      if !context.json { context.console.note(ResumeCheckText.begun(begun)) }
      let end = try await Self.follow(begun, client)
      try context.show(end) { ResumeCheckText.verdict(end) }
      switch end.verdict?.outcome {
      case .equal, .close: return
      case .diverged: throw CommandFailure(.foundTrouble)
      case .failed, nil: throw CommandFailure(.jobFailed)
      }
    }
  }

  /// The proof once it has a verdict, over restarts of the server.
  private static func follow(_ check: ResumeCheckView, _ client: BatonClient) async throws -> ResumeCheckView {
    var last = check
    try await Persistence().go { progressed in
      for try await view in try await client.watchResumeCheck("\(check.id)") {
        progressed()
        last = view
        if view.verdict != nil { return true }
      }
      last = try await client.resumeCheck("\(check.id)")
      return last.verdict != nil
    }
    return last
  }
}
