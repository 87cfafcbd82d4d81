import Domain
import Testing
import Wire

@testable import Exporting

/// A run as a server gives it.
private func run(_ metrics: [String] = ["loss"], state: JobState = .completed) -> RunView {
  let began = Timestamp(microseconds: 1_795_285_205_000_000)
  func attempt(_ number: Int, _ outcome: AttemptOutcome) -> AttemptView {
    AttemptView(
      id: AttemptID(Int64(number)), number: number, lease: LeaseID(1), leaseName: "week", leaseEnd: began + .hours(9),
      state: .ended, outcome: outcome, detail: "it \"ended\"", nodes: [NodeRef(id: NodeID(1), name: "n1")],
      createdAt: began, runningAt: began + .seconds(10), endedAt: began + .hours(number), resumedFromStep: nil)
  }
  let job = JobView(
    id: JobID(17), name: "mnist", project: "vision", user: "mira", state: state, reason: "", reasonDetail: nil,
    priority: 50, nodes: 2, submittedAt: began - .minutes(1), startedAt: nil, endedAt: nil, exitCode: nil, attempt: nil,
    checkpointStep: nil, checkpointAt: nil, lastStep: 8, staging: nil)
  let checkpoint = CheckpointView(
    id: CheckpointID(3), job: JobID(17), attemptNumber: 1, step: 8, state: .durable, bytes: .mebibytes(20),
    prefix: "runs/17/step-8", createdAt: began, durableAt: began, isFinal: true, isLatest: true)
  return RunView(
    id: RunID(17), job: job, attempts: [attempt(1, .leaseEnded), attempt(2, .completed)], checkpoints: [checkpoint],
    metrics: metrics.map { MetricSummary(metric: $0, count: 2, firstStep: 1, lastStep: 2, lastValue: 1) },
    provenance: RunProvenance(
      jobFile: "name: mnist\n", source: SourceProvenance(gitCommit: "8d6e43", gitDiff: "-a\n+b\n", gitDirty: true),
      datasets: [DatasetRef(name: "mnist", version: 2, contentID: "4f8b")], seed: 42, nodes: []), stepsRedone: 1)
}

@Suite struct EventFileTests {
  /// The check values of RFC 3720, B.4, and of the catalogue of CRC algorithms.
  @Test func checksumsAreThoseOfTheStandard() {
    #expect(CRC32C.of(Array("123456789".utf8)) == 0xE306_9283)
    #expect(CRC32C.of([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(CRC32C.of((0..<32).map(UInt8.init)) == 0x46DD_794E)
    #expect(CRC32C.of([]) == 0)
  }

  /// What TensorBoard's own writer makes of these values.
  @Test func recordsAreThoseOfTensorBoard() {
    let time = Timestamp(microseconds: 1_500_000)
    let beginning = EventFile.beginning(at: time)
    #expect(beginning.prefix(8) == [24, 0, 0, 0, 0, 0, 0, 0])
    #expect(beginning.count == 8 + 4 + 24 + 4)
    #expect(Array(beginning[12..<21]) == [0x09, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F])
    #expect(String(decoding: beginning[23..<36], as: UTF8.self) == "brain.Event:2")
    let scalar = EventFile.scalar("loss", step: 300, 0.5, at: time)
    #expect(
      Array(scalar[12..<(scalar.count - 4)])
        == [0x09, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F, 0x10, 0xAC, 0x02, 0x2A, 0x0D, 0x0A, 0x0B, 0x0A, 0x04]
        + Array("loss".utf8) + [0x15, 0, 0, 0, 0x3F])
  }

  @Test func namesAreFoundAndOrderedByTensorBoard() {
    #expect(EventFile.name(beginning: Timestamp(microseconds: 5_000_000)) == "events.out.tfevents.0000000005.baton")
  }

  @Test func whatHasNoTimeIsOfItsAttemptsBegin() {
    let clock = RunClock(run())
    let said = Timestamp(microseconds: 7)
    #expect(clock.time(said, attempt: 1) == said)
    #expect(clock.time(Timestamp(microseconds: 0), attempt: 2) == clock.start + .seconds(10))
    #expect(clock.time(nil, attempt: 9) == clock.start)
    #expect(RunClock(run(state: .running)).end == nil)
  }
}

@Suite struct MLflowFilesTests {
  @Test func noMetricLeavesItsFolderOrMeetsAnother() {
    let names = MLflowFiles.fileNames(["loss", "../x", "a", "a/b", "/etc/passwd", "l\u{F6}ss", "l\u{E4}ss", "", "a//b"])
    #expect(names["loss"] == "loss")
    #expect(names["../x"] == "_.x")
    #expect(names["a"] == "a" && names["a//b"] == "a.b" && names["a/b"] == "a.b-2")
    #expect(names["/etc/passwd"] == "etc/passwd")
    #expect(names[""] == "_")
    #expect(Set(names.values).count == 9)
  }

  @Test func sameRunSamePlaceWhateverIsExported() {
    let (one, other) = (MLflowFiles(run(), root: "/a"), MLflowFiles(run(["x"]), root: "/b"))
    #expect(one.runID == other.runID && one.experimentID == other.experimentID)
    #expect(one.runID.count == 32 && one.experimentID.count == 18)
    #expect(one.experiment == "vision/mnist")
    #expect(one.files["\(one.experimentID)/\(one.runID)/meta.yaml"]?.contains("status: 3\n") == true)
    #expect(one.line(step: 4, .nan, said: nil, attempt: 1).hasSuffix(" nan 4\n"))
  }

  @Test(arguments: [
    (JobState.completed, 3), (.failed, 4), (.timeout, 4), (.cancelled, 5), (.running, 1), (.leaseWait, 1),
    (.pending, 2),
  ]) func statesAreThoseOfMLflow(_ state: JobState, _ status: Int) {
    #expect(MLflowFiles.status(state) == status)
  }
}

@Suite struct ROCrateTests {
  private let files = [
    ROCrate.File(path: "job.yaml", about: "the job file", type: "application/yaml", size: 12),
    ROCrate.File(path: "a b.csv", about: "values", type: "text/csv", size: 3),
  ]

  private func graph(_ crate: ROCrate) throws -> [String: [String: JSONTree]] {
    guard case .object(let top) = crate.metadata, case .list(let entities)? = top["@graph"] else { return [:] }
    var graph: [String: [String: JSONTree]] = [:]
    for case .object(let entity) in entities {
      guard case .text(let id)? = entity["@id"] else { continue }
      #expect(graph.updateValue(entity, forKey: id) == nil, "\(id) twice")
    }
    return graph
  }

  @Test func everyReferenceIsToSomethingInTheCrate() throws {
    let crate = ROCrate(
      run(), files: files, jobFile: "job.yaml", diff: nil, at: Timestamp(microseconds: 1_795_285_205_000_000))
    let graph = try graph(crate)
    #expect(graph["ro-crate-metadata.json"]?["conformsTo"] == ["@id": "https://w3id.org/ro/crate/1.1"])
    #expect(graph["./"]?["datePublished"] != nil && graph["./"]?["license"] != nil)
    #expect(graph["a%20b.csv"]?["contentSize"] == "3")
    #expect(graph["#data-1"]?["identifier"] == "sha256:4f8b")
    #expect(graph["#checkpoint-3"] != nil && graph["#attempt-2"] != nil)
    func references(_ tree: JSONTree) -> [String] {
      switch tree {
      case .object(let fields):
        if case .text(let id)? = fields["@id"], fields.count == 1 { return [id] }
        return fields.values.flatMap(references)
      case .list(let items): return items.flatMap(references)
      case .text, .number: return []
      }
    }
    for id in graph.values.flatMap({ $0.values.flatMap(references) }) where !id.hasPrefix("http") {
      #expect(graph[id] != nil, "\(id)")
    }
  }
}

@Suite struct CSVTextTests {
  @Test func quotesWhatWouldEndAField() {
    #expect(CSVText.line(["a", "b,c", "d\"e", "f\ng", " h"]) == "a,\"b,c\",\"d\"\"e\",\"f\ng\",\" h\"\n")
    #expect(CSVText.number(0.1) == "0.1" && CSVText.number(.nan) == "nan" && CSVText.number(-.infinity) == "-inf")
  }
}
