import Domain
import Foundation
import Testing

@Suite struct JobSpecTests {
  private func read(_ text: String) throws -> JobSpec { try JSONDecoder().decode(JobSpec.self, from: Data(text.utf8)) }

  /// Each field that comes later is missing from what is stored today.
  @Test func readsASpecOfAVersionThatKnewLess() throws {
    #expect(try read(#"{"name": "a", "command": ["b"]}"#) == JobSpec(name: "a", command: ["b"]))
    let sections = ["resources", "time", "launcher", "checkpoint", "retry"].map { "\"\($0)\": {}" }
    let text = #"{"name": "a", "command": ["b"], "fromTheFuture": 1, "#
    #expect(try read(text + sections.joined(separator: ", ") + "}") == JobSpec(name: "a", command: ["b"]))
  }

  @Test func readsHowManyToKeepAsItWasOnceWritten() throws {
    let spec = try read(#"{"name": "a", "command": ["b"], "checkpoint": {"keepLast": 7}}"#)
    #expect(spec.checkpoint.keep.last == 7)
  }

  @Test func readsEveryFieldThatItWrites() throws {
    var spec = JobSpec(name: "a", command: ["b", "c"])
    (spec.priority, spec.tags, spec.description, spec.seed) = (70, ["x"], "text", -42)
    (spec.lease, spec.survivesLease, spec.environment) = (.named("exp7"), false, ["A": "1"])
    spec.data = [DataRequest(name: "mnist", version: 3)]
    (spec.resources.nodes, spec.resources.gpusPerNode) = (2, 0)
    (spec.resources.nodeType, spec.resources.localDisk) = ("gpu_a100", .gibibytes(1))
    (spec.time.limit, spec.time.minimum) = (.hours(2), .hours(1))
    spec.launcher = LauncherSpec(kind: .torchrun, processesPerNode: 4, gpus: .own)
    (spec.checkpoint.every, spec.checkpoint.grace, spec.checkpoint.keep.last) = (.minutes(5), .seconds(45), 5)
    (spec.checkpoint.keep.best, spec.checkpoint.keep.metric, spec.checkpoint.keep.mode) = (2, "accuracy", .max)
    (spec.checkpoint.keep.everySteps, spec.checkpoint.keep.youngerThan) = (1000, .hours(1))
    (spec.retry.maxRestarts, spec.retry.onExitCodes) = (2, [137])
    #expect(try JSONDecoder().decode(JobSpec.self, from: JSONEncoder().encode(spec)) == spec)
  }

  @Test(arguments: [#"{"command": ["b"]}"#, #"{"name": "a"}"#, #"{"name": "a", "command": ["b"], "seed": "x"}"#])
  func refusesASpecThatIsNone(text: String) {
    #expect(throws: DecodingError.self) { try read(text) }
  }
}
