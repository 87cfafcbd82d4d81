import Domain
import Glibc
import ObjectStorage
import Wire

/// The agent's folder on a node; README.md of this module draws it.
struct NodeFolder: Hashable, Sendable {
  /// Absolute, without links and without a slash at its end.
  let root: String

  /// Makes the folder where it is missing.
  init(making path: String) throws(SystemError) {
    try Disk.makeFolders(path)
    guard let resolved = realpath(path, nil) else { throw SystemError("cannot resolve", path, errno: errno) }
    defer { free(resolved) }
    root = String(cString: resolved)
    try Disk.makeFolders(attempts, mode: 0o700)
    try Disk.makeFolders(datasets)
  }

  var attempts: String { "\(root)/attempts" }
  var datasets: String { "\(root)/datasets" }
  /// What jobs had made before their ranks started; each has its stamp beside it.
  var environments: String { "\(root)/environments" }
  /// What this node has seen; see `NodeState`.
  var state: String { "\(root)/node.json" }
  /// Held by verbs that change which attempts there are.
  var lock: String { "\(root)/agent.lock" }

  func attempt(_ id: AttemptID) -> AttemptFolder {
    AttemptFolder(path: "\(attempts)/\(id.rawValue)", id: id, root: root)
  }
  func replica(_ contentID: String) -> String { "\(datasets)/\(contentID)" }
  /// The manifest beside a replica: it is there once all of the replica is on the disk.
  func replicaMarker(_ contentID: String) -> String { "\(datasets)/\(contentID).json" }
  func partialReplica(_ contentID: String) -> String { "\(datasets)/.partial-\(contentID)" }

  /// Attempts that have a folder, by id.
  func knownAttempts() throws(SystemError) -> [AttemptID] {
    try Disk.names(in: attempts).compactMap { Int64($0) }.filter { $0 > 0 }.map { AttemptID($0) }.sorted()
  }
}

/// The folder of one attempt on a node.
struct AttemptFolder: Hashable, Sendable {
  let path: String
  let id: AttemptID
  /// The node's root, which marks the processes of this node's attempts.
  let root: String

  var order: String { "\(path)/order.json" }
  var journal: String { "\(path)/journal.jsonl" }
  var metrics: String { "\(path)/metrics.jsonl" }
  var logs: String { "\(path)/logs" }
  var checkpoints: String { "\(path)/checkpoints" }
  var resume: String { "\(path)/resume" }
  /// What the ranks leave to be kept.
  var artifacts: String { "\(path)/artifacts" }
  var work: String { "\(path)/work" }
  /// Links to several data sets.
  var data: String { "\(path)/data" }
  /// A link to the environment of the ranks; there is none where the job asks for none.
  var environment: String { "\(path)/environment" }
  /// The code as it came, until the commands that make an environment have had it.
  var codeTar: String { "\(path)/code.tar" }
  /// What `nvidia-smi` told of how the GPUs are linked.
  var topology: String { "\(path)/gpu-topology" }
  var nodeFile: String { "\(path)/nodes" }
  /// Process id and start time of the supervisor.
  var pid: String { "\(path)/pid" }
  var control: String { "control.sock" }
  /// What the supervisor itself has to say.
  var supervisorLog: String { "\(path)/supervisor.log" }
  /// Room that is given up when the disk is full, so that the journal can still be written.
  var ballast: String { "\(path)/ballast" }

  /// Where ranks start: in the job file's folder of the code, where that was captured, else in an empty folder.
  func work(of order: AttemptOrder) -> String {
    guard let code = order.code, !code.folder.isEmpty else { return work }
    return "\(work)/\(code.folder)"
  }

  func log(rank: Int) -> String { "\(logs)/rank-\(rank).log" }
  func log(helper: String) -> String { "\(logs)/\(helper).log" }
  func checkpoint(step: Int) -> String { "\(checkpoints)/step-\(step)" }
}
