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
  /// Its files, by their path below `data/`.
  public var files: Manifest

  /// A contribution.
  public init(nodeRank: Int, layout: CheckpointLayout, ranks: [Int], files: Manifest) {
    self.nodeRank = nodeRank
    self.layout = layout
    self.ranks = ranks
    self.files = files
  }
}

/// What makes a checkpoint exist: the last object to be written, the same bytes whoever writes it.
public struct CheckpointManifest: Hashable, Sendable, Codable {
  /// Of this format: 1.
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
  /// Its files, by their path below `data/`.
  public var files: Manifest

  /// The checkpoint that `parts` make together; nil while a rank's part is missing, or where two parts disagree.
  public init?(run: RunID, number: Int, step: Int, worldSize: Int, parts: [CheckpointPart]) {
    guard let layout = parts.first?.layout, parts.allSatisfy({ $0.layout == layout }) else { return nil }
    let entries: [ManifestEntry]
    switch layout {
    case .whole:
      entries = parts[0].files.entries
      guard parts.allSatisfy({ $0.files == parts[0].files }) else { return nil }
    case .sharded:
      guard Set(parts.flatMap(\.ranks)) == Set(0..<worldSize) else { return nil }
      entries = parts.flatMap(\.files.entries)
    }
    guard let files = Manifest(entries) else { return nil }
    version = 1
    self.run = run
    self.number = number
    self.step = step
    self.layout = layout
    self.worldSize = worldSize
    self.files = files
  }

  /// The bytes whose hash the database knows: JSON with sorted keys, the same for the same values everywhere.
  public func encoded() throws -> [UInt8] { try Self.encode(self) }

  /// Reads what `encoded` wrote; throws for another version, whose words may mean something else.
  public init(decoding bytes: [UInt8]) throws {
    self = try JSONDecoder().decode(CheckpointManifest.self, from: Data(bytes))
    guard version == 1 else {
      throw DecodingError.dataCorrupted(
        DecodingError.Context(codingPath: [], debugDescription: "version \(version) of the format is not known"))
    }
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
