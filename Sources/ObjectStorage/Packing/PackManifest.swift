public import Domain

/// How a data set version lies in tar shards: the object that its `packKey` names, as JSON.
///
/// The version's content id is that of what was packed; its manifest names the members as plain files.
public struct PackManifest: Hashable, Sendable, Codable {
  /// One tar, and the index that lies beside it.
  public struct Shard: Hashable, Sendable, Codable {
    /// The tar: its path as a file, as in `shard-000000.tar`, its length and hash.
    public var tar: ManifestEntry
    /// The index: `shard-000000.idx`.
    public var index: ManifestEntry

    /// A tar and its index.
    public init(tar: ManifestEntry, index: ManifestEntry) {
      self.tar = tar
      self.index = index
    }
  }

  /// Of this format.
  public var version: Int
  /// The version that is packed.
  public var contentID: String
  /// In order; both files of each are blobs.
  public var shards: [Shard]

  /// A pack of `contentID`.
  public init(contentID: String, shards: [Shard]) {
    version = 1
    self.contentID = contentID
    self.shards = shards
  }
}

/// Where the members of a tar are: what makes one file of it readable without the others.
public struct ShardIndex: Hashable, Sendable {
  /// One plain file of a tar.
  public struct Member: Hashable, Sendable {
    /// Its path, length and hash.
    public var file: ManifestEntry
    /// Where in the tar its content begins.
    public var offset: Int64

    /// `file` at `offset`.
    public init(file: ManifestEntry, offset: Int64) {
      self.file = file
      self.offset = offset
    }
  }

  /// In the order of the tar.
  public var members: [Member]

  /// An index.
  public init(members: [Member]) { self.members = members }

  /// A line `sha256 size offset path` for each member.
  public var text: String {
    members.map { "\($0.file.checksum) \($0.file.size) \($0.offset) \($0.file.path)\n" }.joined()
  }

  /// Reads an index; nil for a line that is none, an unsafe path, or members that lie over each other.
  public init?(parsing text: String) {
    var members: [Member] = []
    var end: Int64 = 0
    for line in text.split(separator: "\n", omittingEmptySubsequences: true) {
      let fields = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
      guard fields.count == 4, let size = Int64(fields[1]), let offset = Int64(fields[2]), size >= 0, offset >= end,
        ManifestEntry.isSafe(path: String(fields[3]))
      else { return nil }
      let (next, overflow) = offset.addingReportingOverflow(size)
      if overflow { return nil }
      end = next
      members.append(
        Member(
          file: ManifestEntry(path: String(fields[3]), size: size, sha256: String(fields[0])), offset: offset))
    }
    self.members = members
  }
}
