public import Domain

/// How `batond` and `baton-agent` speak: JSON objects, one a line, over the stdin and stdout of an SSH command.
///
/// The verbs, all idempotent, each told where the node's root folder is by `--root`:
///
/// | verb | stdin | stdout |
/// |---|---|---|
/// | `probe` | - | one `NodeReport` |
/// | `start` | one `AttemptOrder` | one `AgentReply`; the supervisor then lives on by itself |
/// | `control --attempt N` | one `ControlRequest` | one `AgentReply` |
/// | `follow --attempt N --journal SEQ --metrics OFFSET` | - | `FollowFrame`s until the attempt is over |
/// | `logs --attempt N --rank R --offset O [--follow]` | - | raw bytes of the rank's log |
/// | `list` | - | one `AttemptList` |
/// | `rescue --attempt N` | one `RescueRequest` | one `AgentReply`; after a supervisor that died: stores what it left |
/// | `purge --attempt N` | - | one `AgentReply`; kills what is left of it and removes its folder |
/// | `stage` | one `StageOrder`, then perhaps `PeerNotice`s, one a line | `StageFrame`s; the last is the result |
/// | `serve` | one `ServeOrder`; it ends with the input | `ServeFrame`s |
/// | `evict` | one `ReplicaSelection` | one `EvictionReport` |
/// | `verify` | one `ReplicaSelection` | one `VerificationReport`, once all was read |
public enum AgentProtocol {
  /// Version of the messages; an agent refuses an order of another one.
  public static let version = 1
}

/// All that an agent needs to carry one attempt on one node to its end, with nobody to ask.
public struct AttemptOrder: Hashable, Sendable, Codable {
  /// `AgentProtocol.version`.
  public var version: Int
  /// The attempt; the agent keeps one folder for each.
  public var attempt: AttemptID
  /// Its job.
  public var job: JobID
  /// Its number in the job, from 1: `BATON_ATTEMPT`, and what fences checkpoints.
  public var number: Int
  /// Epoch of the controller that orders; an agent that has seen a higher one refuses.
  public var controllerEpoch: Int64
  /// Position of this node in the attempt.
  public var nodeRank: Int
  /// Addresses of all nodes, in rank order, as the ranks reach each other.
  public var nodeAddresses: [String]
  /// Indices of the GPUs to use; empty for none.
  public var gpus: [Int]
  /// Ranks to start on this node.
  public var processesPerNode: Int
  /// Program and arguments.
  ///
  /// `$NAME` and `${NAME}` stand for variables of the rank's environment, `$$` for a dollar.
  public var command: [String]
  /// The user's variables.
  public var environment: [String: String]
  /// What `BATON_SEED` says.
  public var seed: Int64
  /// Data sets to have in place before the ranks start.
  public var datasets: [DatasetOrder]
  /// The checkpoint to resume from; nil starts from the beginning.
  public var resume: ResumeOrder?
  /// Where objects are.
  public var store: StoreAccess
  /// How long until the lease ends, as the database's clock has it, when the order was written.
  public var leaseRemaining: TimeSpan
  /// The lease's end, for `BATON_LEASE_END`.
  public var leaseEnd: Timestamp
  /// The last save starts when this much of the lease is left, or earlier if measured costs say so.
  public var lastSaveLead: TimeSpan
  /// From SIGTERM to SIGKILL.
  public var grace: TimeSpan
  /// How often the ranks are asked to save; nil for never.
  public var checkpointEvery: TimeSpan?
  /// Room that has to stay free for checkpoints and the job's own files.
  public var reserve: ByteCount
  /// How the nodes give each other what they stage; nil where each brings all from the store.
  public var exchange: ExchangeOrder?
  /// Who holds data sets already, and hands them out under `exchange`; nil for nobody.
  public var holders: HoldersOrder?
  /// Content ids of data sets that are not evicted to make room; nil for none.
  public var pinned: [String]?
  /// What the ranks are told beside the contract; nil for `plain`, as from a controller that knows no other.
  public var launcherKind: LauncherSpec.Kind?
  /// Which of the `gpus` a rank sees; nil for what is usual for the kind.
  public var gpuView: LauncherSpec.GPUView?
  /// Servers of parameters over all nodes; nil for one a node, where the kind has any.
  public var servers: Int?
  /// How TensorFlow shares the work; nil for what is usual.
  public var strategy: LauncherSpec.Strategy?
  /// Whether there is an evaluator; nil for no.
  public var evaluator: Bool?
  /// What becomes of the batch on another number of ranks; nil where the job does not say.
  public var batch: BatchRule?
  /// What the program saves by itself, and where; nil for one that saves as the contract says.
  public var programSaves: ProgramSaves?
  /// What the ranks are asked to save with; nil for `SIGUSR1`.
  public var saveSignal: SaveSignal?
  /// How the command differs where there is a checkpoint to resume from; nil where it does not.
  public var resumeCommand: ResumeCommand?
  /// What has to be there before the ranks start; nil for nothing.
  public var setup: SetupSpec?
  /// The image that the ranks run in; nil for none.
  public var container: ContainerSpec?
  /// The code that the ranks start in; nil where they start in an empty folder.
  public var code: CodeOrder?

  /// An order; every field but the last six is told.
  public init(
    attempt: AttemptID, job: JobID, number: Int, controllerEpoch: Int64, nodeRank: Int, nodeAddresses: [String],
    gpus: [Int], processesPerNode: Int, command: [String], environment: [String: String], seed: Int64,
    datasets: [DatasetOrder], resume: ResumeOrder?, store: StoreAccess, leaseRemaining: TimeSpan, leaseEnd: Timestamp,
    lastSaveLead: TimeSpan, grace: TimeSpan, checkpointEvery: TimeSpan?, reserve: ByteCount,
    exchange: ExchangeOrder? = nil, holders: HoldersOrder? = nil, pinned: [String]? = nil,
    launcherKind: LauncherSpec.Kind? = nil, gpuView: LauncherSpec.GPUView? = nil, servers: Int? = nil,
    strategy: LauncherSpec.Strategy? = nil, evaluator: Bool? = nil
  ) {
    version = AgentProtocol.version
    self.attempt = attempt
    self.job = job
    self.number = number
    self.controllerEpoch = controllerEpoch
    self.nodeRank = nodeRank
    self.nodeAddresses = nodeAddresses
    self.gpus = gpus
    self.processesPerNode = processesPerNode
    self.command = command
    self.environment = environment
    self.seed = seed
    self.datasets = datasets
    self.resume = resume
    self.store = store
    self.leaseRemaining = leaseRemaining
    self.leaseEnd = leaseEnd
    self.lastSaveLead = lastSaveLead
    self.grace = grace
    self.checkpointEvery = checkpointEvery
    self.reserve = reserve
    self.exchange = exchange
    self.holders = holders
    self.pinned = pinned
    self.launcherKind = launcherKind
    self.gpuView = gpuView
    self.servers = servers
    self.strategy = strategy
    self.evaluator = evaluator
  }

  /// Ranks over all nodes.
  public var worldSize: Int { nodeAddresses.count * processesPerNode }

  /// How the ranks are started.
  public var launcher: LauncherSpec {
    LauncherSpec(
      kind: launcherKind ?? .plain, processesPerNode: processesPerNode, gpus: gpuView, servers: servers,
      strategy: strategy ?? .mirrored, hasEvaluator: evaluator ?? false)
  }
}

/// A data set version to stage.
public struct DatasetOrder: Hashable, Sendable, Codable {
  /// The version.
  public var id: DatasetVersionID
  /// Its name: `BATON_DATA_<NAME>`.
  public var name: String
  /// SHA-256 of the manifest's canonical text.
  public var contentID: String
  /// Key of the manifest (JSON) in the store.
  public var manifestKey: String
  /// Sum of all objects.
  public var total: ByteCount
  /// What of it this node gets.
  public var mode: StagingMode
  /// Where its objects are read in place; nil where they are blobs in the order's store.
  public var source: DatasetSource?
  /// Key of its pack (JSON) in the order's store; nil for a version that is not packed.
  public var packKey: String?

  /// A data set version to stage.
  public init(
    id: DatasetVersionID, name: String, contentID: String, manifestKey: String, total: ByteCount,
    mode: StagingMode = .copy, source: DatasetSource? = nil, packKey: String? = nil
  ) {
    self.id = id
    self.name = name
    self.contentID = contentID
    self.manifestKey = manifestKey
    self.total = total
    self.mode = mode
    self.source = source
    self.packKey = packKey
  }

  /// Reads an order; controllers before there were modes want a copy.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    id = try container.decode(DatasetVersionID.self, forKey: .id)
    name = try container.decode(String.self, forKey: .name)
    contentID = try container.decode(String.self, forKey: .contentID)
    manifestKey = try container.decode(String.self, forKey: .manifestKey)
    total = try container.decode(ByteCount.self, forKey: .total)
    mode = try container.decodeIfPresent(StagingMode.self, forKey: .mode) ?? .copy
    source = try container.decodeIfPresent(DatasetSource.self, forKey: .source)
    packKey = try container.decodeIfPresent(String.self, forKey: .packKey)
  }

  /// About what one of `nodes` has to fetch.
  public func share(of nodes: Int) -> ByteCount {
    mode == .shard ? ByteCount((total.bytes + Int64(nodes) - 1) / Int64(max(1, nodes))) : total
  }
}

/// A checkpoint to resume from.
public struct ResumeOrder: Hashable, Sendable, Codable {
  /// Its step.
  public var step: Int
  /// Folder in the store: `manifest.json` and, below `data/`, its files.
  public var prefix: String
  /// SHA-256 of `manifest.json` as bytes.
  public var manifestSHA256: String
  /// Sum of its files.
  public var total: ByteCount

  /// A checkpoint to resume from.
  public init(step: Int, prefix: String, manifestSHA256: String, total: ByteCount) {
    self.step = step
    self.prefix = prefix
    self.manifestSHA256 = manifestSHA256
    self.total = total
  }
}

/// What the controller asks of a living supervisor.
public struct ControlRequest: Hashable, Sendable, Codable {
  /// Epoch of the controller; lower than one seen before is refused.
  public var controllerEpoch: Int64
  /// What to do.
  public var command: ControlCommand

  /// `command`, by the controller of `controllerEpoch`.
  public init(controllerEpoch: Int64, command: ControlCommand) {
    self.controllerEpoch = controllerEpoch
    self.command = command
  }
}

/// Asks a node to bring what a supervisor that died left on its disk into the store.
public struct RescueRequest: Hashable, Sendable, Codable {
  /// Epoch of the controller; lower than one seen before is refused.
  public var controllerEpoch: Int64
  /// How long until the lease ends, as the database's clock has it, when the request was written.
  public var leaseRemaining: TimeSpan

  /// A request by the controller of `controllerEpoch`.
  public init(controllerEpoch: Int64, leaseRemaining: TimeSpan) {
    self.controllerEpoch = controllerEpoch
    self.leaseRemaining = leaseRemaining
  }
}

/// What a supervisor can be asked to do.
///
/// Each may be sent twice.
public enum ControlCommand: Hashable, Sendable, Codable {
  /// Start the ranks; refused before everything is staged, ignored when they were started.
  ///
  /// `rankPorts` has a port for each process that listens on one of its own, node by node; nil where not every node
  /// told some.
  case launch(masterPort: Int, rankPorts: [Int]? = nil)
  /// SIGUSR1 to every rank: save now and go on.
  case checkpoint
  /// SIGTERM, grace, SIGKILL, upload, end.
  case stop(StopCause)
  /// SIGKILL to the whole tree at once, no upload, end.
  case kill(StopCause)
  /// The lease's end moved; with it, where the access to the store ends with the lease, a new one.
  case deadline(leaseRemaining: TimeSpan, leaseEnd: Timestamp, store: StoreAccess?)
  /// The last save takes `lead` before the lease's end, by what all nodes measured; one that measured more itself keeps to that.
  case lastSave(lead: TimeSpan)
  /// On which ports the nodes serve what they have, in rank order; nil for one that serves nothing.
  case peers(ports: [Int?])
  /// Start the daemon that `mpirun` on another node wants here; ignored when one was started.
  case mpiDaemon(command: [String])
}

/// Why an attempt is told to leave.
public enum StopCause: String, Hashable, Sendable, Codable {
  /// The lease ends.
  case leaseEnd
  /// A person cancelled the job.
  case cancelled
  /// The job's own time limit.
  case timeLimit
  /// Another node of the gang failed.
  case gangFailed
  /// The chief of the gang is gone, done or not: what served it may go at once.
  case chiefGone
}

/// What a verb answers.
public enum AgentReply: Hashable, Sendable, Codable {
  /// Done, or done before.
  case ok
  /// Not done; nothing changed. The text says why and what to do.
  case refused(String)
}

/// The code that ranks start in.
public struct CodeOrder: Hashable, Sendable, Codable {
  /// Key of its tar in the order's store.
  public var key: String
  /// SHA-256 of the tar.
  public var sha256: String
  /// Length of the tar.
  public var bytes: ByteCount
  /// Where in it ranks start; empty for its root.
  public var folder: String

  /// The tar at `key`.
  public init(key: String, sha256: String, bytes: ByteCount, folder: String) {
    self.key = key
    self.sha256 = sha256
    self.bytes = bytes
    self.folder = folder
  }
}
