/// What a researcher asked for: a job file, read and checked.
///
/// All that Baton decides about a job comes from here.
public struct JobSpec: Hashable, Sendable, Codable {
  /// A name of the user's choosing; 1 to 128 characters, no control characters.
  public var name: String
  /// 0 to 100; higher goes first.
  public var priority: Int
  /// Free words, for people.
  public var tags: [String]
  /// Free text, for people.
  public var description: String?
  /// What it needs of nodes.
  public var resources: JobResources
  /// How long it may and must run.
  public var time: JobTime
  /// Which lease it may use.
  public var lease: LeaseChoice
  /// Whether it goes on in the next lease when one ends; else it ends with it, FAILED.
  public var survivesLease: Bool
  /// Environment of the program, beside what Baton sets.
  ///
  /// Keys match `[A-Za-z_][A-Za-z0-9_]*`, none starts with `BATON_`.
  public var environment: [String: String]
  /// Data sets to have on the node before the program starts.
  public var data: [DataRequest]
  /// What a node has to have before the ranks start; nil for what it has anyway.
  public var setup: SetupSpec?
  /// The image that the ranks run in; nil for none.
  public var container: ContainerSpec?
  /// How ranks are started.
  public var launcher: LauncherSpec
  /// What becomes of the batch on another number of ranks; nil where the job does not say, which an elastic one must.
  public var batch: BatchRule?
  /// Program and arguments; not empty.
  ///
  /// Started directly: there is no shell unless the first word is one.
  public var command: [String]
  /// How that differs in an attempt that resumes; nil where it does not.
  public var resume: ResumeCommand?
  /// How it saves.
  public var checkpoint: CheckpointPolicy
  /// What happens after a failure.
  public var retry: RetryPolicy
  /// What `BATON_SEED` says.
  public var seed: Int64

  /// A job that runs `command` on one node, with every other choice at its default.
  public init(name: String, command: [String]) {
    self.name = name
    self.command = command
    resume = nil
    priority = 50
    tags = []
    description = nil
    resources = JobResources()
    time = JobTime()
    lease = .auto
    survivesLease = true
    environment = [:]
    data = []
    launcher = LauncherSpec()
    batch = nil
    checkpoint = CheckpointPolicy()
    retry = RetryPolicy()
    seed = 0
  }

  /// Reads a spec that any version stored: a field that it did not know is at its default.
  ///
  /// Without that, one new field would make every waiting job unreadable, and no round could be planned.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      name: try container.decode(String.self, forKey: .name),
      command: try container.decode([String].self, forKey: .command))
    try container.read(&priority, .priority)
    try container.read(&tags, .tags)
    description = try container.decodeIfPresent(String.self, forKey: .description)
    try container.read(&resources, .resources)
    try container.read(&time, .time)
    try container.read(&lease, .lease)
    try container.read(&survivesLease, .survivesLease)
    try container.read(&environment, .environment)
    try container.read(&data, .data)
    setup = try container.decodeIfPresent(SetupSpec.self, forKey: .setup)
    self.container = try decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(
      ContainerSpec.self, forKey: .container)
    try container.read(&launcher, .launcher)
    resume = try container.decodeIfPresent(ResumeCommand.self, forKey: .resume)
    batch = try container.decodeIfPresent(BatchRule.self, forKey: .batch)
    try container.read(&checkpoint, .checkpoint)
    try container.read(&retry, .retry)
    try container.read(&seed, .seed)
  }
}

extension KeyedDecodingContainer {
  /// Replaces `value` by what stands at `key`; leaves it as it is where nothing does.
  fileprivate func read<Value: Decodable>(_ value: inout Value, _ key: Key) throws {
    value = try decodeIfPresent(Value.self, forKey: key) ?? value
  }
}

/// What a job needs of nodes: a gang, all at once or not at all.
public struct JobResources: Hashable, Sendable, Codable {
  /// How many nodes; at least 1.
  ///
  /// With `nodesMost` the fewest that it starts on.
  public var nodes: Int = 1
  /// As many nodes as it can use, where that is more: it takes what there is when it starts, and again in the next lease.
  public var nodesMost: Int?
  /// How many GPUs of each node; nil takes all of them, 0 none.
  public var gpusPerNode: Int?
  /// Only nodes of this type; nil takes any.
  public var nodeType: String?
  /// Room on the local disk beside data sets and checkpoints.
  public var localDisk: ByteCount = .zero

  /// One node, all its GPUs.
  public init() {}

  /// Reads what is told; the rest is at its default.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    try container.read(&nodes, .nodes)
    nodesMost = try container.decodeIfPresent(Int.self, forKey: .nodesMost)
    gpusPerNode = try container.decodeIfPresent(Int.self, forKey: .gpusPerNode)
    nodeType = try container.decodeIfPresent(String.self, forKey: .nodeType)
    try container.read(&localDisk, .localDisk)
  }
}

extension JobResources {
  /// From the fewest nodes to the most; one number of a job that is not elastic.
  public var nodesRange: ClosedRange<Int> { max(1, nodes)...max(1, nodes, nodesMost ?? 1) }

  /// Whether the number of nodes may change from one lease to the next.
  public var isElastic: Bool { nodesRange.count > 1 }
}

/// A job's own bounds on time.
public struct JobTime: Hashable, Sendable, Codable {
  /// Total running time over all attempts, after which it is ended, TIMEOUT; nil is without bound.
  public var limit: TimeSpan?
  /// It does not start in a lease that has less than this left.
  public var minimum: TimeSpan?

  /// No bounds.
  public init() {}
}

/// Which lease a job may run in.
public enum LeaseChoice: Hashable, Sendable, Codable {
  /// Any lease of its project.
  case auto
  /// Only the lease of this name (or id, as in `lease-3`).
  case named(String)
}

/// One data set that a job wants on its nodes.
public struct DataRequest: Hashable, Sendable, Codable {
  /// The data set's name; `BATON_DATA_<NAME>` points to its folder.
  public var name: String
  /// A version number; nil takes the newest at submission and stays with it.
  public var version: Int?
  /// What of it each node gets.
  public var mode: StagingMode

  /// The newest version of `name`, or version `version`.
  public init(name: String, version: Int? = nil, mode: StagingMode = .copy) {
    self.name = name
    self.version = version
    self.mode = mode
  }

  /// Reads a request; those written before there were modes want a copy.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    name = try container.decode(String.self, forKey: .name)
    version = try container.decodeIfPresent(Int.self, forKey: .version)
    mode = try container.decodeIfPresent(StagingMode.self, forKey: .mode) ?? .copy
  }
}

/// What of a data set each node of a job gets.
public enum StagingMode: String, Hashable, Sendable, Codable, CaseIterable {
  /// All of it, as plain files.
  case copy
  /// Every N-th file, as plain files: file i of the sorted list is on node i mod N.
  ///
  /// Of a packed version every N-th shard, unpacked.
  case shard
  /// All of a packed version, its tar files as they are.
  case shards
}

/// How a job saves.
public struct CheckpointPolicy: Hashable, Sendable, Codable {
  /// How often the ranks are asked to save; nil only before the lease ends.
  public var every: TimeSpan?
  /// How long the ranks may take from SIGTERM to their end, before SIGKILL.
  public var grace: TimeSpan = .seconds(30)
  /// Which DURABLE checkpoints a sweep leaves.
  public var keep = RetentionPolicy()
  /// What the program saves by itself, and where; nil for one that saves as the contract says.
  public var program: ProgramSaves?
  /// What the ranks are asked to save with; nil for what `askedBy` makes of it.
  public var signal: SaveSignal?

  /// Only before the lease ends, 30 seconds of grace, three kept.
  public init() {}

  /// Reads what is told; the rest is at its default.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    every = try container.decodeIfPresent(TimeSpan.self, forKey: .every)
    try container.read(&grace, .grace)
    program = try container.decodeIfPresent(ProgramSaves.self, forKey: .program)
    signal = try container.decodeIfPresent(SaveSignal.self, forKey: .signal)
    // Once there was only the number of the newest.
    let earlier = try decoder.container(keyedBy: EarlierKeys.self)
    keep.last = try earlier.decodeIfPresent(Int.self, forKey: .keepLast) ?? keep.last
    try container.read(&keep, .keep)
  }

  private enum EarlierKeys: String, CodingKey { case keepLast }
}

/// What happens when an attempt fails.
public struct RetryPolicy: Hashable, Sendable, Codable {
  /// How many more attempts a failing job gets; the end of a lease never counts.
  public var maxRestarts: Int = 0
  /// Exit codes that are worth another attempt; empty: none but 75.
  public var onExitCodes: [Int] = []

  /// No restart.
  public init() {}

  /// Reads what is told; the rest is at its default.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    try container.read(&maxRestarts, .maxRestarts)
    try container.read(&onExitCodes, .onExitCodes)
  }
}
