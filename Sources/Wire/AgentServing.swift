public import Domain

/// Nodes of the lease that hold data sets which others of it stage: they are asked before the store is.
///
/// They serve as long as those stage; whoever of them is gone, slow or wrong is done without.
public struct HoldersOrder: Hashable, Sendable, Codable {
  /// One of them.
  public struct Holder: Hashable, Sendable, Codable {
    /// Where it is, as the nodes reach each other.
    public var address: String
    /// Where it listens.
    public var port: Int
    /// The data sets of which it has a copy.
    public var contentIDs: [String]

    /// The holder of `contentIDs` that listens at `address`.
    public init(address: String, port: Int, contentIDs: [String]) {
      self.address = address
      self.port = port
      self.contentIDs = contentIDs
    }
  }

  /// All of them.
  public var holders: [Holder]
  /// Bytes a second that they have to give each node together: one that gets less asks the store.
  public var least: ByteCount

  /// `holders`, that have to give at least so much.
  public init(holders: [Holder], least: ByteCount) {
    self.holders = holders
    self.least = least
  }
}

/// What `serve` is told: what of this node's replicas to hand out, and to whom.
public struct ServeOrder: Hashable, Sendable, Codable {
  /// `AgentProtocol.version`.
  public var version: Int
  /// Epoch of the controller that orders; an agent that has seen a higher one refuses.
  public var controllerEpoch: Int64
  /// The data sets that others want copies of; those of which there is none here are passed over.
  public var datasets: [DatasetOrder]
  /// Where their manifests are.
  public var store: StoreAccess
  /// Where to listen, as the other nodes reach this one.
  public var address: String
  /// What those who ask have to prove.
  public var exchange: ExchangeOrder

  /// An order; every field is told.
  public init(
    controllerEpoch: Int64, datasets: [DatasetOrder], store: StoreAccess, address: String, exchange: ExchangeOrder
  ) {
    version = AgentProtocol.version
    self.controllerEpoch = controllerEpoch
    self.datasets = datasets
    self.store = store
    self.address = address
    self.exchange = exchange
  }
}

/// What `serve` says, one a line, until its input ends, nobody asks for long, or what it serves is gone.
public enum ServeFrame: Hashable, Sendable, Codable {
  /// From now on copies of these data sets are handed out on `port`.
  case serving(port: Int, contentIDs: [String])
  /// Nothing happened for a while; it goes on.
  case alive
  /// Not begun. The text says why.
  case refused(String)
}
