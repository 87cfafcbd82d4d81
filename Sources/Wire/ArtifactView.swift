public import Domain

/// A file that ranks left to be kept.
public struct ArtifactView: Codable, Hashable, Sendable {
  /// Below the folder that ranks left it in.
  public var path: String
  /// Length in bytes.
  public var bytes: ByteCount
  /// The number of the attempt, from 1.
  public var attempt: Int
  /// The rank of the node, from 0.
  public var nodeRank: Int

  /// `path` of the node `nodeRank` in attempt `attempt`.
  public init(path: String, bytes: ByteCount, attempt: Int, nodeRank: Int) {
    self.path = path
    self.bytes = bytes
    self.attempt = attempt
    self.nodeRank = nodeRank
  }
}

/// That not all that the ranks on a node left to be kept is in the object store.
public struct MissingArtifacts: Codable, Hashable, Sendable {
  /// The number of the attempt, from 1.
  public var attempt: Int
  /// The node's name.
  public var node: String
  /// How many there are not, as far as that is known, and why.
  public var reason: String

  /// What is missing of `node` in attempt `attempt`.
  public init(attempt: Int, node: String, reason: String) {
    self.attempt = attempt
    self.node = node
    self.reason = reason
  }
}

/// The files that a run's ranks left to be kept, and what is known of those that are not.
public struct ArtifactListing: Codable, Hashable, Sendable {
  /// When.
  public var now: Timestamp
  /// By path, node and attempt.
  public var items: [ArtifactView]
  /// What was left and is not kept, oldest first; nil where the server does not tell.
  public var missing: [MissingArtifacts]?
  /// Why there may be more than `items`; nil where there is not.
  ///
  /// Only a glance leaves some out.
  public var unknown: String?

  /// `items` and what is `missing`, as of `now`.
  public init(
    now: Timestamp, items: [ArtifactView], missing: [MissingArtifacts]? = nil, unknown: String? = nil
  ) {
    self.now = now
    self.items = items
    self.missing = missing
    self.unknown = unknown
  }
}
