import Domain
import Foundation
import Glibc
import ObjectStorage
import Testing
import Wire

/// A scratch folder with a store and nodes; all that was started on them is purged at the end.
final class AgentFixture {
  let scratch: String
  let store: FileObjectStore
  private var nodes: [TestNode] = []
  /// Folders outside of the scratch folder.
  var removesToo: [String] = []

  private init() throws {
    scratch = FileManager.default.temporaryDirectory.appendingPathComponent("baton-agent-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: scratch, withIntermediateDirectories: true)
    store = try FileObjectStore.creating(root: scratch + "/store")
  }

  static func with(_ body: (AgentFixture) async throws -> Void) async throws {
    let fixture = try AgentFixture()
    let result: Result<Void, any Error>
    do {
      try await body(fixture)
      result = .success(())
    } catch {
      result = .failure(error)
    }
    // A node that cannot be purged fails the test, and leaves the others their turn.
    for node in fixture.nodes {
      do { try await node.purgeAll() } catch { Issue.record(error, "\(node.root) is not purged") }
    }
    for folder in fixture.removesToo + [fixture.scratch] { try FileManager.default.removeItem(atPath: folder) }
    try result.get()
  }

  func node(_ name: String = "node", root: String? = nil, under: [String] = []) -> TestNode {
    let node = TestNode(root: root ?? "\(scratch)/\(name)", under: under)
    nodes.append(node)
    return node
  }

  /// An order to run a script of bash on one node; read by bash, since a program cannot be executed while a test that
  /// starts another process at that moment has it open too.
  func order(
    _ script: String, attempt: Int64 = 7, job: Int64 = 3, number: Int = 1, processes: Int = 1, lease: Double = 60,
    lead: Double = 1, grace: Double = 5, every: Double? = nil
  ) throws -> AttemptOrder {
    let path = "\(scratch)/train-\(UUID().uuidString).sh"
    try Data(script.utf8).write(to: URL(fileURLWithPath: path))
    return AttemptOrder(
      attempt: AttemptID(attempt), job: JobID(job), number: number, controllerEpoch: 1, nodeRank: 0,
      nodeAddresses: ["127.0.0.1"], gpus: [], processesPerNode: processes, command: ["/bin/bash", path],
      environment: [:], seed: 5,
      datasets: [], resume: nil, store: .folder(path: store.root), leaseRemaining: .seconds(lease),
      leaseEnd: Timestamp(secondsSinceEpoch: 1_900_000_000), lastSaveLead: .seconds(lead), grace: .seconds(grace),
      checkpointEvery: every.map { .seconds($0) }, reserve: .zero)
  }

  /// Stages nothing, launches, and follows the order to its end.
  func run(_ order: AttemptOrder, on node: TestNode) async throws -> (NodeOutcome, Follower) {
    let follower = try await launch(order, on: node)
    return (try await follower.outcome(), follower)
  }

  /// Starts and launches; the follower has seen `launched`.
  func launch(_ order: AttemptOrder, on node: TestNode) async throws -> Follower {
    try #expect(await node.start(order) == .ok)
    let follower = try Follower(node, order.attempt)
    try await follower.event { if case .staged = $0 { true } else { false } }
    try #expect(await node.control(order.attempt, .launch(masterPort: 29_500)) == .ok)
    return follower
  }

  /// Puts objects and their manifest into the store.
  func dataset(_ name: String, _ files: [String: String]) async throws -> DatasetOrder {
    var entries: [ManifestEntry] = []
    for (path, text) in files {
      let bytes = Array(text.utf8)
      let info = try await store.put("scratch/\(UUID().uuidString)", from: .bytes(bytes))
      let sha256 = try #require(info.sha256)
      try await store.put(ObjectLayout.blob(sha256: sha256), from: .bytes(bytes))
      entries.append(ManifestEntry(path: path, size: info.size, sha256: sha256))
    }
    let manifest = try #require(Manifest(entries))
    let put = try await store.put("scratch/id", from: .bytes(Array(manifest.canonicalText.utf8)))
    let id = try #require(put.sha256)
    let key = ObjectLayout.datasetManifest(contentID: id)
    try await store.put(key, from: .bytes(Array(try JSONEncoder().encode(manifest))))
    return DatasetOrder(
      id: DatasetVersionID(1), name: name, contentID: id, manifestKey: key, total: manifest.total)
  }

  func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

  func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
}

/// A node: a root folder.
struct TestNode {
  let root: String
  /// What the agent is run by, as in `AgentProcess.run`.
  var under: [String] = []

  func folder(_ attempt: AttemptID = AttemptID(7)) -> String { "\(root)/attempts/\(attempt.rawValue)" }

  private func ask<Answer: Decodable>(_ type: Answer.Type, _ arguments: [String], _ input: Data = Data()) async throws
    -> Answer
  {
    let result = try await AgentProcess.run(
      [arguments[0], "--root", root] + arguments.dropFirst(), under: under, input: input)
    try #require(result.code == 0, "\(arguments): \(result.errors)")
    return try JSONDecoder().decode(type, from: result.output)
  }

  func start(_ order: AttemptOrder) async throws -> AgentReply {
    try await ask(AgentReply.self, ["start"], try JSONEncoder().encode(order))
  }

  func control(_ attempt: AttemptID, _ command: ControlCommand, epoch: Int64 = 1) async throws -> AgentReply {
    let request = ControlRequest(controllerEpoch: epoch, command: command)
    return try await ask(
      AgentReply.self, ["control", "--attempt", "\(attempt.rawValue)"], try JSONEncoder().encode(request))
  }

  func purge(_ attempt: AttemptID) async throws -> AgentReply {
    try await ask(AgentReply.self, ["purge", "--attempt", "\(attempt.rawValue)"])
  }

  func list() async throws -> AttemptList { try await ask(AttemptList.self, ["list"]) }

  func probe() async throws -> NodeReport { try await ask(NodeReport.self, ["probe"]) }

  func purgeAll() async throws {
    for entry in try await list().attempts { _ = try await purge(entry.attempt) }
  }
}

/// Whether a process exists and is no zombie.
func isRunning(_ pid: Int32) -> Bool {
  guard let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8) else { return false }
  return !status.contains("State:\tZ")
}

/// Scripts that train, more or less.
enum Script {
  /// Saves at `step-N` in the way that the contract asks for.
  static let save = """
    save() { mkdir -p "$BATON_CHECKPOINT_DIR/step-$1.tmp"; echo "weights $1" > "$BATON_CHECKPOINT_DIR/step-$1.tmp/w"
      mv "$BATON_CHECKPOINT_DIR/step-$1.tmp" "$BATON_CHECKPOINT_DIR/step-$1"; }

    """
  /// Waits for signals, in a read from a pipe that nobody writes to: `read` lets traps run, other programs do not.
  static let wait = "\necho ready\n" + waitForSignals
  static let waitForSignals = "exec {silence}<> <(:); while true; do read -r -u $silence; done\n"
}
