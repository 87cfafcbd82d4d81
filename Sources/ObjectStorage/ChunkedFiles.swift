public import Domain

/// A stretch of a checkpoint's file that is an object of its own.
public struct CheckpointChunk: Hashable, Sendable, Codable {
  /// Chunks are so long, but for the last one of a file.
  public static let length: Int64 = 64 << 20

  /// The whole object: in this checkpoint, or in an earlier one that had the same bytes.
  public var key: String
  /// Length in bytes.
  public var size: Int64
  /// SHA-256 of the content, 64 lower-case hexadecimal digits.
  public var sha256: String

  /// A chunk.
  public init(key: String, size: Int64, sha256: String) {
    self.key = key
    self.size = size
    self.sha256 = sha256
  }
}

/// A file of a checkpoint.
public struct ChunkedFile: Hashable, Sendable {
  /// Path below the checkpoint's folder.
  public var path: String
  /// Length in bytes.
  public var size: Int64
  /// Of the whole: SHA-256 of what is one chunk, or was written before version 3, else the chunks' `composite`.
  public var checksum: Checksum
  /// What it is put together from, in order; none for an empty file.
  public var chunks: [CheckpointChunk]

  /// A file.
  public init(path: String, size: Int64, checksum: Checksum, chunks: [CheckpointChunk]) {
    self.path = path
    self.size = size
    self.checksum = checksum
    self.chunks = chunks
  }

  /// What it is, wherever its bytes are.
  public var entry: ManifestEntry { ManifestEntry(path: path, size: size, checksum: checksum) }
}

extension ChunkedFile: Codable {
  private enum CodingKeys: String, CodingKey { case chunks }

  /// Reads what describes the whole as `ManifestEntry` does, and `chunks`.
  public init(from decoder: any Decoder) throws {
    let entry = try ManifestEntry(from: decoder)
    let chunks = try decoder.container(keyedBy: CodingKeys.self).decode([CheckpointChunk].self, forKey: .chunks)
    self.init(path: entry.path, size: entry.size, checksum: entry.checksum, chunks: chunks)
  }

  /// Writes what describes the whole as `ManifestEntry` does, and `chunks`.
  public func encode(to encoder: any Encoder) throws {
    try entry.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(chunks, forKey: .chunks)
  }
}

/// The files of a checkpoint, sorted by path; coded as an array.
public struct ChunkedFiles: Hashable, Sendable {
  /// In the order of `ManifestEntry.<`, no path twice; the chunks of each add up to its length.
  public let files: [ChunkedFile]
  /// What they are, wherever their bytes are.
  public let manifest: Manifest

  /// Sorts `files`; nil where a path is unsafe or twice, or chunks do not add up.
  public init?(_ files: [ChunkedFile]) {
    guard let manifest = Manifest(files.map(\.entry)) else { return nil }
    for file in files {
      var left = file.size
      for chunk in file.chunks {
        guard chunk.size >= 0, chunk.size <= left, !chunk.key.isEmpty else { return nil }
        left -= chunk.size
      }
      guard left == 0 else { return nil }
    }
    self.files = files.sorted { $0.entry < $1.entry }
    self.manifest = manifest
  }

  /// Their lengths and hashes.
  public var entries: [ManifestEntry] { manifest.entries }

  /// The sum of all lengths.
  public var total: ByteCount { manifest.total }

  /// All objects that hold a byte of them.
  public var keys: Set<String> { Set(files.flatMap { $0.chunks.map(\.key) }) }
}

extension ChunkedFiles: Codable {
  /// Reads files, and refuses what `init(_:)` refuses.
  public init(from decoder: any Decoder) throws {
    guard let files = ChunkedFiles(try [ChunkedFile](from: decoder)) else {
      throw DecodingError.dataCorrupted(
        DecodingError.Context(
          codingPath: decoder.codingPath, debugDescription: "an unsafe or repeated path, or chunks that do not add up"))
    }
    self = files
  }

  /// Writes the files.
  public func encode(to encoder: any Encoder) throws { try files.encode(to: encoder) }
}

/// Where the chunks of an earlier checkpoint are, by content: what need not be sent again.
public struct ChunkIndex: Hashable, Sendable {
  private struct Content: Hashable {
    var sha256: String
    var size: Int64
  }

  private var keys: [Content: String] = [:]

  /// Of nothing.
  public init() {}

  /// Of the chunks of `files`.
  public init(_ files: ChunkedFiles) {
    for file in files.files {
      for chunk in file.chunks where chunk.size > 0 {
        keys[Content(sha256: chunk.sha256, size: chunk.size)] = chunk.key
      }
    }
  }

  /// The object with this content; nil where there is none.
  public func key(sha256: String, size: Int64) -> String? { keys[Content(sha256: sha256, size: size)] }
}
