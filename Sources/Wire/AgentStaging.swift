public import Domain

/// What lets the nodes of an attempt prove to each other that they belong together.
///
/// Made at random for each attempt; never logged, and gone with the order.
public struct ExchangeOrder: Hashable, Sendable, Codable {
  /// 32 random bytes, as 64 hexadecimal digits.
  public var key: String

  /// An exchange under `key`.
  public init(key: String) { self.key = key }
}

extension ExchangeOrder: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Without the key.
  public var description: String { "ExchangeOrder(key: hidden)" }
  /// Without the key.
  public var debugDescription: String { description }
  /// Without the key.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Where the objects of a data set are read in place: `prefix`, then the file's path.
public struct DatasetSource: Hashable, Sendable, Codable {
  /// The store.
  public var store: StoreAccess
  /// What the keys begin with; empty, or with a slash at its end.
  public var prefix: String

  /// Objects below `prefix` in `store`.
  public init(store: StoreAccess, prefix: String) {
    self.store = store
    self.prefix = prefix
  }
}

/// What `stage` is told: which data sets to bring to this node, ahead of any attempt.
public struct StageOrder: Hashable, Sendable, Codable {
  /// `AgentProtocol.version`.
  public var version: Int
  /// Epoch of the controller that orders; an agent that has seen a higher one refuses.
  public var controllerEpoch: Int64
  /// What to bring.
  public var datasets: [DatasetOrder]
  /// Where objects are.
  public var store: StoreAccess
  /// Room that has to stay free.
  public var reserve: ByteCount
  /// Content ids of data sets that are not evicted to make room.
  public var pinned: [String]
  /// Position of this node among those that stage together.
  public var nodeRank: Int
  /// Addresses of all of them, in rank order.
  public var nodeAddresses: [String]
  /// How they give each other what they stage; nil where each brings all from the store.
  public var exchange: ExchangeOrder?
  /// Who holds data sets already, and hands them out under `exchange`; nil for nobody.
  public var holders: HoldersOrder?

  /// An order; every field is told.
  public init(
    controllerEpoch: Int64, datasets: [DatasetOrder], store: StoreAccess, reserve: ByteCount, pinned: [String],
    nodeRank: Int, nodeAddresses: [String], exchange: ExchangeOrder?, holders: HoldersOrder? = nil
  ) {
    version = AgentProtocol.version
    self.controllerEpoch = controllerEpoch
    self.datasets = datasets
    self.store = store
    self.reserve = reserve
    self.pinned = pinned
    self.nodeRank = nodeRank
    self.nodeAddresses = nodeAddresses
    self.exchange = exchange
    self.holders = holders
  }
}

/// A line to a running `stage`: on which ports the nodes serve, in rank order; nil for one that serves nothing.
public struct PeerNotice: Hashable, Sendable, Codable {
  /// The ports.
  public var ports: [Int?]

  /// The nodes serve on `ports`.
  public init(ports: [Int?]) { self.ports = ports }
}

/// What `stage` says, one a line; the last is `staged`, `failed` or `refused`.
public enum StageFrame: Hashable, Sendable, Codable {
  /// Something happened: `staging`, `serving`, `peerDistrusted` or `evicted`.
  case event(AgentEvent)
  /// Nothing happened for a while; it goes on.
  case alive
  /// All is in place; `brought` of it was not there before, nil where nodes that held it gave some, and from an agent that
  /// does not tell.
  case staged(bytes: ByteCount, took: TimeSpan, brought: ByteCount? = nil)
  /// Not all could be brought; what came is kept for the next try.
  case failed(StagingFailure)
  /// Not begun. The text says why and what to do.
  case refused(String)
}

/// Something of a data set on a node's disk.
public struct ReplicaReport: Hashable, Sendable, Codable {
  /// Its folder below `datasets/`.
  public var name: String
  /// The data set version.
  public var contentID: String
  /// What of it this is.
  public var mode: StagingMode
  /// Which share of how many, where it is one.
  public var share: Share?
  /// Whether all of it is there and was verified; else a transfer was begun, or damage was found.
  public var isVerified: Bool
  /// What its files take.
  public var bytes: ByteCount
  /// When an attempt last asked for it, by the node's clock.
  public var lastUse: Timestamp

  /// Share `index` of `count`.
  public struct Share: Hashable, Sendable, Codable {
    /// From 0.
    public var index: Int
    /// How many.
    public var count: Int

    /// Share `index` of `count`.
    public init(index: Int, count: Int) {
      self.index = index
      self.count = count
    }
  }

  /// Something of a data set.
  public init(
    name: String, contentID: String, mode: StagingMode, share: Share?, isVerified: Bool, bytes: ByteCount,
    lastUse: Timestamp
  ) {
    self.name = name
    self.contentID = contentID
    self.mode = mode
    self.share = share
    self.isVerified = isVerified
    self.bytes = bytes
    self.lastUse = lastUse
  }
}

/// Which replicas `evict` or `verify` is about.
public struct ReplicaSelection: Hashable, Sendable, Codable {
  /// Content ids of data sets, in every mode; nil for all.
  public var contentIDs: [String]?

  /// The replicas of `contentIDs`; nil for all.
  public init(contentIDs: [String]?) { self.contentIDs = contentIDs }
}

/// What `evict` did.
public struct EvictionReport: Hashable, Sendable, Codable {
  /// What is gone.
  public var removed: [ReplicaReport]
  /// Folders that stay since an attempt uses them, or they are being staged.
  public var inUse: [String]

  /// What `evict` did.
  public init(removed: [ReplicaReport], inUse: [String]) {
    self.removed = removed
    self.inUse = inUse
  }
}

/// What `verify` found.
public struct VerificationReport: Hashable, Sendable, Codable {
  /// One replica.
  public struct Replica: Hashable, Sendable, Codable {
    /// Its folder below `datasets/`.
    public var name: String
    /// The data set version.
    public var contentID: String
    /// Files that were read.
    public var files: Int
    /// What was read.
    public var bytes: ByteCount
    /// Files that are missing or are not what they should be; with any, the replica counts as damaged from now on.
    public var corrupt: [String]

    /// One replica.
    public init(name: String, contentID: String, files: Int, bytes: ByteCount, corrupt: [String]) {
      self.name = name
      self.contentID = contentID
      self.files = files
      self.bytes = bytes
      self.corrupt = corrupt
    }
  }

  /// By name; partial ones are not among them.
  public var replicas: [Replica]

  /// What `verify` found.
  public init(replicas: [Replica]) { self.replicas = replicas }
}
