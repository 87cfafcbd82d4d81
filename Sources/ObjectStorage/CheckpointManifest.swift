public import Domain
import FoundationEssentials

/// How the files of a checkpoint came about.
public enum CheckpointLayout: String, Hashable, Sendable, Codable {
  /// One folder, written by one rank.
  case whole
  /// A folder `rank-R` of every rank.
  case sharded
}

/// What one node contributed to a checkpoint; it is written after its files were read back from the store.
public struct CheckpointPart: Hashable, Sendable, Codable {
  /// Position of the node in the attempt.
  public var nodeRank: Int
  /// How its files came about.
  public var layout: CheckpointLayout
  /// Global ranks whose folders are among them; all of the node's for `whole`.
  public var ranks: [Int]
  /// Its files.
  public var files: ChunkedFiles

  /// A contribution.
  public init(nodeRank: Int, layout: CheckpointLayout, ranks: [Int], files: ChunkedFiles) {
    self.nodeRank = nodeRank
    self.layout = layout
    self.ranks = ranks
    self.files = files
  }
}

/// What makes a checkpoint exist: the last object to be written, the same bytes whoever writes it.
///
/// Version 1 named one object a file, `data/<path>`; it is read as if each file were one chunk. Version 2 had the SHA-256 of
/// each whole file.
public struct CheckpointManifest: Hashable, Sendable, Codable {
  /// What is written today.
  public static let version = 3

  /// Of this format: 3, also where an earlier version was read.
  public var version: Int
  /// Its run.
  public var run: RunID
  /// The attempt's number in its job.
  public var number: Int
  /// Its step.
  public var step: Int
  /// How its files came about.
  public var layout: CheckpointLayout
  /// Ranks of the attempt that wrote it.
  public var worldSize: Int
  /// Its files.
  public var files: ChunkedFiles

  /// The checkpoint that `parts` make together; nil while a rank's part is missing, or where two parts disagree.
  public init?(run: RunID, number: Int, step: Int, worldSize: Int, parts: [CheckpointPart]) {
    guard let layout = parts.first?.layout, parts.allSatisfy({ $0.layout == layout }) else { return nil }
    let all: [ChunkedFile]
    switch layout {
    case .whole:
      all = parts[0].files.files
      guard parts.allSatisfy({ $0.files == parts[0].files }) else { return nil }
    case .sharded:
      guard Set(parts.flatMap(\.ranks)) == Set(0..<worldSize) else { return nil }
      all = parts.flatMap(\.files.files)
    }
    guard let files = ChunkedFiles(all) else { return nil }
    version = Self.version
    self.run = run
    self.number = number
    self.step = step
    self.layout = layout
    self.worldSize = worldSize
    self.files = files
  }

  /// Whether both are the same checkpoint with the same files, wherever the chunks are.
  public func hasSameContent(as other: CheckpointManifest) -> Bool {
    run == other.run && number == other.number && step == other.step && layout == other.layout
      && worldSize == other.worldSize && files.entries == other.files.entries
  }

  /// The bytes whose hash the database knows: JSON with sorted keys, the same for the same values everywhere.
  public func encoded() throws -> [UInt8] { try Self.encode(self) }

  /// Reads what `encoded` wrote; throws for another version, whose words may mean something else.
  public init(decoding bytes: [UInt8]) throws {
    self = try JSONDecoder().decode(CheckpointManifest.self, from: Data(bytes))
  }

  /// Reads versions 1 to 3.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let written = try container.decode(Int.self, forKey: .version)
    version = Self.version
    run = try container.decode(RunID.self, forKey: .run)
    number = try container.decode(Int.self, forKey: .number)
    step = try container.decode(Int.self, forKey: .step)
    layout = try container.decode(CheckpointLayout.self, forKey: .layout)
    worldSize = try container.decode(Int.self, forKey: .worldSize)
    switch written {
    case 1:
      let prefix = ObjectLayout.checkpoint(run: run, step: step, number: number)
      let found = ChunkedFiles(
        try container.decode(Manifest.self, forKey: .files).entries.map { entry in
          let key = ObjectLayout.data(checkpoint: prefix, path: entry.path)
          let chunk = CheckpointChunk(key: key, size: entry.size, sha256: entry.sha256)
          return ChunkedFile(path: entry.path, size: entry.size, checksum: entry.checksum, chunks: [chunk])
        })
      guard let found else { throw Self.unreadable("its files do not fit together", decoder) }
      files = found
    case 2, Self.version:
      files = try container.decode(ChunkedFiles.self, forKey: .files)
    default:
      throw Self.unreadable("version \(written) of the format is not known", decoder)
    }
  }

  private static func unreadable(_ why: String, _ decoder: any Decoder) -> DecodingError {
    .dataCorrupted(DecodingError.Context(codingPath: decoder.codingPath, debugDescription: why))
  }

  static func encode(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(value))
  }
}

extension CheckpointPart {
  /// JSON with sorted keys.
  public func encoded() throws -> [UInt8] { try CheckpointManifest.encode(self) }

  /// Reads what `encoded` wrote.
  public init(decoding bytes: [UInt8]) throws {
    self = try JSONDecoder().decode(CheckpointPart.self, from: Data(bytes))
  }
}
