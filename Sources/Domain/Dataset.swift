/// One object of a data set.
public struct ManifestEntry: Hashable, Sendable, Comparable {
  /// Path inside the data set, `/` between parts; never absolute, no `.` or `..` part, no NUL, no line feed.
  public var path: String
  /// Length in bytes.
  public var size: Int64
  /// The content; SHA-256 wherever Baton itself wrote it, and what the store tells of an object that is read in place.
  public var checksum: Checksum
  /// The store's name for this version of an object that is read in place; nil for one that nobody replaces.
  public var tag: String?

  /// One object.
  public init(path: String, size: Int64, checksum: Checksum, tag: String? = nil) {
    self.path = path
    self.size = size
    self.checksum = checksum
    self.tag = tag
  }

  /// One object that Baton wrote; `sha256` is 64 lower-case hexadecimal digits.
  public init(path: String, size: Int64, sha256: String) {
    self.init(path: path, size: size, checksum: .sha256(sha256))
  }

  /// The checksum as text: for what Baton wrote the SHA-256, for anything else a text that no SHA-256 equals.
  public var sha256: String { checksum.description }

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

extension ManifestEntry: Codable {
  private enum CodingKeys: String, CodingKey { case path, size, sha256, checksum, tag }

  /// Reads an entry with a `sha256`, or with a `checksum` of another kind.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    path = try container.decode(String.self, forKey: .path)
    size = try container.decode(Int64.self, forKey: .size)
    if let digits = try container.decodeIfPresent(String.self, forKey: .sha256) {
      guard Checksum.isHex(digits, length: 64) else {
        throw DecodingError.dataCorruptedError(
          forKey: .sha256, in: container,
          debugDescription: "'\(digits.prefix(80))' is not a SHA-256 in 64 lower-case hexadecimal digits")
      }
      checksum = .sha256(digits)
    } else {
      checksum = try container.decode(Checksum.self, forKey: .checksum)
    }
    tag = try container.decodeIfPresent(String.self, forKey: .tag)
  }

  /// Writes an entry.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(path, forKey: .path)
    try container.encode(size, forKey: .size)
    if case .sha256(let digits) = checksum {
      try container.encode(digits, forKey: .sha256)
    } else {
      try container.encode(checksum, forKey: .checksum)
    }
    try container.encodeIfPresent(tag, forKey: .tag)
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

  /// The text whose SHA-256 is the data set's id: a line `checksum size path` for each entry, in order.
  ///
  /// Only this text is hashed, so that the id does not depend on how JSON was written.
  public var canonicalText: String {
    entries.map { "\($0.checksum) \($0.size) \($0.path)\n" }.joined()
  }

  /// What is different in `newer`: objects by their paths, judged by length and checksum.
  public func changes(to newer: Manifest) -> ManifestChanges {
    var changes = ManifestChanges()
    var old = entries[...]
    for entry in newer.entries {
      while let first = old.first, first < entry {
        changes.gone += 1
        old.removeFirst()
      }
      if let first = old.first, first.path.utf8.elementsEqual(entry.path.utf8) {
        if first.size != entry.size || first.checksum != entry.checksum { changes.changed += 1 }
        old.removeFirst()
      } else {
        changes.new += 1
      }
    }
    changes.gone += old.count
    return changes
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

/// How many objects differ between two versions of a data set.
public struct ManifestChanges: Hashable, Sendable, Codable {
  /// Objects that were not there before.
  public var new: Int
  /// Objects with other content.
  public var changed: Int
  /// Objects that are not there any more.
  public var gone: Int

  /// So many differ; none, where none are told.
  public init(new: Int = 0, changed: Int = 0, gone: Int = 0) {
    self.new = new
    self.changed = changed
    self.gone = gone
  }

  /// Whether nothing differs.
  public var isEmpty: Bool { new == 0 && changed == 0 && gone == 0 }
}

extension ManifestChanges: CustomStringConvertible {
  /// `3 new, 1 changed, 0 gone`, or `unchanged`.
  public var description: String { isEmpty ? "unchanged" : "\(new) new, \(changed) changed, \(gone) gone" }
}
