import Glibc

extension ContentSummary {
  /// Of `source`, read to its end.
  ///
  /// A store is told the hashes before the bytes: it then refuses what was changed or cut on its way, and nothing
  /// that is wrong is visible for a moment. A file is read twice for that.
  static func of(_ source: ObjectSource, key: String) throws(ObjectStoreError) -> ContentSummary {
    if case .hashed(_, let range, let sha256) = source {
      return ContentSummary(sha256: sha256, md5: nil, size: Int64(range.count))
    }
    var sha256 = ContentHash()
    var md5 = MD5Hash()
    var size: Int64 = 0
    func add(_ bytes: [UInt8]) {
      sha256.update(bytes)
      md5.update(bytes)
      size += Int64(bytes.count)
    }
    switch source {
    case .bytes(let bytes): add(bytes)
    case .file(let path):
      try readPieces(path, from: 0..<Int64.max, key: key, add)
    case .slice(let path, let range):
      try readPieces(path, from: range, key: key, add)
      if size != range.upperBound - range.lowerBound {
        throw ObjectStoreError(.sourceUnreadable, key: key, reason: "\(path) ends before byte \(range.upperBound)")
      }
    case .hashed: break
    }
    return ContentSummary(sha256: sha256.hex(), md5: md5.hex(), size: size)
  }

  private static func readPieces(
    _ path: String, from range: Range<Int64>, key: String, _ add: ([UInt8]) -> Void
  ) throws(ObjectStoreError) {
    do throws(SystemError) {
      let file = try Disk.open(path, O_RDONLY)
      var offset = range.lowerBound
      while offset < range.upperBound {
        let piece = try Disk.read(
          file, at: offset, limit: Int(min(1 << 20, range.upperBound - offset)), path: path)
        if piece.isEmpty { return }
        add(piece)
        offset += Int64(piece.count)
      }
    } catch {
      throw ObjectStoreError(.sourceUnreadable, key: key, reason: error.description)
    }
  }
}
