/// One object of a data set.
public struct ManifestEntry: Hashable, Sendable, Codable, Comparable {
  /// Path inside the data set, `/` between parts; never absolute, no `.` or `..` part, no NUL, no line feed.
  public var path: String
  /// Length in bytes.
  public var size: Int64
  /// SHA-256 of the content, 64 lower-case hexadecimal digits.
  public var sha256: String

  /// One object.
  public init(path: String, size: Int64, sha256: String) {
    self.path = path
    self.size = size
    self.sha256 = sha256
  }

  /// Orders by path, by its UTF-8 bytes: the same on every machine and in every locale.
  public static func < (left: Self, right: Self) -> Bool {
    left.path.utf8.lexicographicallyPrecedes(right.path.utf8)
  }

  /// Whether `path` stays below the folder it is written into.
  ///
  /// Judged by bytes, as the kernel does: a `/` with a combining accent after it is one `Character`, and not `/`. A line
  /// feed is refused as well, since it would let two manifests have one canonical text.
  public static func isSafe(path: String) -> Bool {
    let bytes = path.utf8
    guard !bytes.contains(0), !bytes.contains(UInt8(ascii: "\n")) else { return false }
    return bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .allSatisfy { !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8) }
  }
}

/// The content of a data set or a checkpoint: what is in it, each object's length and hash, sorted by path.
public struct Manifest: Hashable, Sendable, Codable {
  /// The objects, in the order of `ManifestEntry.<`, no path twice.
  public let entries: [ManifestEntry]

  /// Sorts `entries`; nil where a path is unsafe, twice, or a folder of another.
  public init?(_ entries: [ManifestEntry]) {
    let sorted = entries.sorted()
    guard sorted.allSatisfy({ ManifestEntry.isSafe(path: $0.path) && $0.size >= 0 }) else { return nil }
    let paths = Set(sorted.map(\.path))
    guard paths.count == sorted.count else { return nil }
    for entry in sorted {
      let bytes = entry.path.utf8
      for index in bytes.indices where bytes[index] == UInt8(ascii: "/") {
        if paths.contains(String(entry.path[..<index])) { return nil }
      }
    }
    self.entries = sorted
  }

  /// The sum of all lengths.
  public var total: ByteCount { entries.reduce(.zero) { $0 + ByteCount($1.size) } }

  /// The text whose SHA-256 is the data set's id: a line `sha256 size path` for each entry, in order.
  ///
  /// Only this text is hashed, so that the id does not depend on how JSON was written.
  public var canonicalText: String {
    entries.map { "\($0.sha256) \($0.size) \($0.path)\n" }.joined()
  }

  private enum CodingKeys: String, CodingKey { case entries }

  /// Reads entries, and refuses what `init(_:)` refuses.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    guard let manifest = Manifest(try container.decode([ManifestEntry].self, forKey: .entries)) else {
      throw DecodingError.dataCorruptedError(
        forKey: .entries, in: container, debugDescription: "a manifest with an unsafe or repeated path")
    }
    self = manifest
  }
}
