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
