public import Domain

/// One line of an attempt's journal on a node: append-only, numbered from 1, never rewritten.
public struct JournalEntry: Hashable, Sendable, Codable {
  /// Its number, from 1, without a gap.
  public var sequence: Int64
  /// When, by the node's clock: for people, never for decisions.
  public var at: Timestamp
  /// How long after the start of the supervisor, by the monotonic clock.
  public var elapsed: TimeSpan
  /// What happened.
  public var event: AgentEvent

  /// Entry `sequence`.
  public init(sequence: Int64, at: Timestamp, elapsed: TimeSpan, event: AgentEvent) {
    self.sequence = sequence
    self.at = at
    self.elapsed = elapsed
    self.event = event
  }

  private enum CodingKeys: String, CodingKey { case sequence, at, elapsed, event }

  private struct EventName: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// Reads an entry; an event that this version does not know becomes `.unknown` with its name.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    sequence = try container.decode(Int64.self, forKey: .sequence)
    at = try container.decode(Timestamp.self, forKey: .at)
    elapsed = try container.decode(TimeSpan.self, forKey: .elapsed)
    do {
      event = try container.decode(AgentEvent.self, forKey: .event)
    } catch is DecodingError {
      let names = try container.nestedContainer(keyedBy: EventName.self, forKey: .event).allKeys
      event = .unknown(names.first?.stringValue ?? "")
    }
  }
}

/// What can happen to an attempt on a node.
public enum AgentEvent: Hashable, Sendable, Codable {
  /// The supervisor lives. `bootID` tells a node that was re-installed.
  case accepted(pid: Int32, bootID: String)
  /// Data and checkpoint come in; at most about one a second.
  ///
  /// `rate` is bytes a second, smoothed, and `eta` what is left at this rate; nil while nothing is known.
  case staging(done: ByteCount, total: ByteCount, rate: ByteCount? = nil, eta: TimeSpan? = nil)
  /// Serves the other nodes what it stages, on `port`.
  case serving(port: Int)
  /// Asks the node of `nodeRank` for nothing any more: its answers were wrong. Holders are numbered after the gang.
  case peerDistrusted(nodeRank: Int, address: String, reason: String)
  /// A replica, or an environment (`environments/KEY`), made room for what this attempt needs.
  case evicted(replica: String, bytes: ByteCount)
  /// The checkpoint to resume from is on the disk.
  case restored(step: Int, bytes: ByteCount, took: TimeSpan)
  /// All is in place, and `port` was free for rank 0's rendezvous a moment ago.
  ///
  /// `brought` is what of the `bytes` was not there before; nil where nodes that held it gave some, and from an agent that
  /// does not tell. `rankPorts` are as free, one for each process of the node that listens on one of its own; nil where
  /// none does.
  case staged(port: Int, bytes: ByteCount, took: TimeSpan, brought: ByteCount? = nil, rankPorts: [Int]? = nil)
  /// Something could not be brought here; the attempt ends.
  case stagingFailed(StagingFailure)
  /// The ranks were started.
  case launched(pids: [Int32])
  /// A rank wrote its first line.
  case firstLine(rank: Int)
  /// A checkpoint was asked for.
  case checkpointAsked
  /// `step-N` appeared complete on this node.
  case checkpointLocal(step: Int, bytes: ByteCount)
  /// `step-N` is in the store with its manifest, was read back, and is equal to it.
  case checkpointStored(StoredCheckpoint)
  /// `step-N` is complete and waits for the object store, which does not do what it is asked; it is tried again. Told
  /// where that lasts some seconds, and for each other reason.
  case checkpointDelayed(step: Int, reason: String)
  /// `step-N` cannot be used; the ranks go on.
  case checkpointRejected(step: Int, reason: String)
  /// The last save will begin `lead` before the lease's end, and is forecast to be durable `doneBefore` it; nil while nothing
  /// was measured on this node. Told when the ranks were started, and when it changes by a tenth.
  case lastSavePlanned(lead: TimeSpan, doneBefore: TimeSpan?)
  /// What stands around the ranks, as far as it was found out while they start.
  case environment(NodeEnvironment)
  /// SIGTERM was sent.
  case stopping(StopCause)
  /// A rank ended: exactly one of `code` and `signal` is told.
  case rankEnded(rank: Int, code: Int32?, signal: Int32?)
  /// `mpirun` on this node wants a daemon on the node of `nodeRank`: `command` is how it is started there.
  case mpiDaemonWanted(nodeRank: Int, command: [String])
  /// Not all that the ranks left to be kept is in the store.
  case artifactsMissing(reason: String)
  /// A process beside the ranks ended: exactly one of `code` and `signal` is told.
  case helperEnded(name: String, code: Int32?, signal: Int32?)
  /// Nothing of the attempt runs here any more, and what could be uploaded is. Always the last entry.
  case ended(NodeOutcome)
  /// An event of a newer agent: kept, not understood.
  case unknown(String)
}

/// Why staging failed.
public enum StagingFailure: Hashable, Sendable, Codable {
  /// The disk has no room for what has to be there.
  case diskTooSmall(needed: ByteCount, room: ByteCount)
  /// An object is not in the store.
  case missing(key: String)
  /// An object is not what its manifest says, after fetching it again.
  case corrupt(key: String)
  /// An object was replaced since its manifest was written.
  case changed(key: String)
  /// The store does not answer, or refuses.
  case store(String)
  /// The environment of the ranks could not be made.
  case setup(String)
  /// Another error of reading or writing.
  case failed(String)
}

/// A checkpoint that is safe in the store.
public struct StoredCheckpoint: Hashable, Sendable, Codable {
  /// Its step.
  public var step: Int
  /// Folder in the store.
  public var prefix: String
  /// SHA-256 of `manifest.json`.
  public var manifestSHA256: String
  /// Sum of its files.
  public var bytes: ByteCount
  /// From asking to `step-N` being complete; nil where nobody had asked.
  public var saveTook: TimeSpan?
  /// From complete on the node to read back from the store, without the pauses that were made to leave the network to the
  /// program: what it would take at a lease's end.
  public var uploadTook: TimeSpan
  /// Whether it is the last one of the attempt.
  public var isFinal: Bool

  /// A checkpoint that is safe in the store.
  public init(
    step: Int, prefix: String, manifestSHA256: String, bytes: ByteCount, saveTook: TimeSpan?, uploadTook: TimeSpan,
    isFinal: Bool
  ) {
    self.step = step
    self.prefix = prefix
    self.manifestSHA256 = manifestSHA256
    self.bytes = bytes
    self.saveTook = saveTook
    self.uploadTook = uploadTook
    self.isFinal = isFinal
  }
}

/// How an attempt ended on one node.
public struct NodeOutcome: Hashable, Sendable, Codable {
  /// Why it was told to leave; nil where it left by itself.
  public var stopped: StopCause?
  /// Why it never started.
  public var staging: StagingFailure?
  /// Why ranks could not be started: program not found, not executable, ...
  public var launchError: String?
  /// Why ranks of this node ended without anybody there to see how; nil where all were seen.
  public var lost: String?
  /// How each rank of this node ended, by rank: `code`, or 128 + signal.
  public var exits: [RankExit]
  /// How processes beside the ranks failed by themselves; nil for none.
  public var helpers: [HelperExit]?
  /// True where the program knows nothing of Baton's exit codes: 0 after it was told to leave does not say that it was done.
  public var knowsNoCodes: Bool?

  /// The end of a process beside the ranks.
  public struct HelperExit: Hashable, Sendable, Codable {
    /// What it is called: `scheduler`, `server-0`...
    public var name: String
    /// Its exit code, if it exited.
    public var code: Int32?
    /// The signal that ended it, if one did.
    public var signal: Int32?
    /// What it said last, in one line, where it said anything.
    public var lastWords: String?

    /// `name` ended with `code` or by `signal`.
    public init(name: String, code: Int32?, signal: Int32?, lastWords: String? = nil) {
      self.name = name
      self.code = code
      self.signal = signal
      self.lastWords = lastWords
    }
  }

  /// One rank's end.
  public struct RankExit: Hashable, Sendable, Codable {
    /// Global rank.
    public var rank: Int
    /// Its exit code, if it exited.
    public var code: Int32?
    /// The signal that ended it, if one did.
    public var signal: Int32?
    /// Whether Baton had told it to leave before: its end is an answer then, not a cause.
    public var wasTold: Bool
    /// What it said last, in one line, where it failed by itself and said anything.
    public var lastWords: String?

    /// `rank` ended with `code` or by `signal`.
    public init(rank: Int, code: Int32?, signal: Int32?, wasTold: Bool = false, lastWords: String? = nil) {
      self.rank = rank
      self.code = code
      self.signal = signal
      self.wasTold = wasTold
      self.lastWords = lastWords
    }

    /// Reads an end; agents before this field said nothing of it.
    public init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      rank = try container.decode(Int.self, forKey: .rank)
      code = try container.decodeIfPresent(Int32.self, forKey: .code)
      signal = try container.decodeIfPresent(Int32.self, forKey: .signal)
      wasTold = try container.decodeIfPresent(Bool.self, forKey: .wasTold) ?? false
      lastWords = try container.decodeIfPresent(String.self, forKey: .lastWords)
    }
  }

  /// An outcome on one node.
  public init(
    stopped: StopCause?, staging: StagingFailure?, launchError: String?, lost: String? = nil, exits: [RankExit],
    helpers: [HelperExit]? = nil
  ) {
    self.stopped = stopped
    self.staging = staging
    self.launchError = launchError
    self.lost = lost
    self.exits = exits
    self.helpers = helpers
  }
}

/// What `follow` sends: a journal entry, whole lines of metrics, or the sign that all was sent.
public enum FollowFrame: Hashable, Sendable, Codable {
  /// The next journal entry.
  case journal(JournalEntry)
  /// Complete lines of the metrics file, one of over 1 MiB cut; `end` is the file offset behind them.
  case metrics(lines: [String], end: Int64)
  /// Nothing happened for a while; the supervisor lives.
  case alive
  /// The supervisor is gone without an `ended` entry: killed, or the node was restarted.
  case supervisorGone
  /// There is no such attempt on this node.
  case unknownAttempt
}

/// What `probe` answers.
public struct NodeReport: Hashable, Sendable, Codable {
  /// `AgentProtocol.version`.
  public var protocolVersion: Int
  /// Host name, as the node calls itself.
  public var hostname: String
  /// Changes with every boot (and with every fresh installation).
  public var bootID: String
  /// Processors online.
  public var cores: Int
  /// Main memory.
  public var memory: ByteCount
  /// Size of the disk below the root folder.
  public var diskTotal: ByteCount
  /// Room on it.
  public var diskFree: ByteCount
  /// The node's clock.
  public var clock: Timestamp
  /// Kernel, operating system, driver and library versions, by name.
  public var software: [String: String]
  /// Its GPUs, as `nvidia-smi` tells.
  public var gpus: [GPUReport]
  /// Content ids of verified replicas on it, whole copies.
  public var replicas: [String]
  /// All that it holds of data sets; nil from an agent that does not tell.
  public var holdings: [ReplicaReport]?
  /// The environments that jobs had made on it; nil from an agent that does not tell.
  public var environments: [EnvironmentReport]?

  /// One GPU.
  public struct GPUReport: Hashable, Sendable, Codable {
    /// Position.
    public var index: Int
    /// Model.
    public var name: String
    /// Memory.
    public var memory: ByteCount
    /// Its own id.
    public var uuid: String

    /// One GPU.
    public init(index: Int, name: String, memory: ByteCount, uuid: String) {
      self.index = index
      self.name = name
      self.memory = memory
      self.uuid = uuid
    }

    /// Whether a lab only says that it is there.
    public var isStandIn: Bool { name.contains("stand-in") }
  }

  /// A report.
  public init(
    hostname: String, bootID: String, cores: Int, memory: ByteCount, diskTotal: ByteCount, diskFree: ByteCount,
    clock: Timestamp, software: [String: String], gpus: [GPUReport], replicas: [String],
    holdings: [ReplicaReport]? = nil, environments: [EnvironmentReport]? = nil
  ) {
    protocolVersion = AgentProtocol.version
    self.hostname = hostname
    self.bootID = bootID
    self.cores = cores
    self.memory = memory
    self.diskTotal = diskTotal
    self.diskFree = diskFree
    self.clock = clock
    self.software = software
    self.gpus = gpus
    self.replicas = replicas
    self.holdings = holdings
    self.environments = environments
  }

  /// What is free, and what environments that no attempt uses give where a job needs room.
  public var diskAvailable: ByteCount {
    (environments ?? []).filter { !$0.isInUse }.reduce(diskFree) { $0 + $1.bytes }
  }
}

/// An environment on a node's disk: what `setup` of job files made.
public struct EnvironmentReport: Hashable, Sendable, Codable {
  /// The hash of what it was made from.
  public var key: String
  /// What it takes on the disk.
  public var bytes: ByteCount
  /// When an attempt last began to use it, by the node's clock.
  public var lastUse: Timestamp
  /// Whether an attempt uses it that is not over.
  public var isInUse: Bool

  /// The environment `key`.
  public init(key: String, bytes: ByteCount, lastUse: Timestamp, isInUse: Bool) {
    self.key = key
    self.bytes = bytes
    self.lastUse = lastUse
    self.isInUse = isInUse
  }
}

/// What `list` answers: the attempts that have a folder on the node.
public struct AttemptList: Hashable, Sendable, Codable {
  /// One of them.
  public struct Entry: Hashable, Sendable, Codable {
    /// Which.
    public var attempt: AttemptID
    /// Whether its supervisor lives.
    public var isAlive: Bool
    /// Whether its journal has its last entry.
    public var hasEnded: Bool

    /// An attempt on a node.
    public init(attempt: AttemptID, isAlive: Bool, hasEnded: Bool) {
      self.attempt = attempt
      self.isAlive = isAlive
      self.hasEnded = hasEnded
    }
  }

  /// By id.
  public var attempts: [Entry]

  /// A list.
  public init(attempts: [Entry]) { self.attempts = attempts }
}
