import Domain

extension HTTPExchange {
  static let hashing = BlockingPool(label: "baton.hashing", width: 4)

  /// The hashes of `source`; `.checksumMismatch` where it is not `sha256`.
  static func summary(
    of source: ObjectSource, sha256: String?, key: String
  ) async throws(ObjectStoreError) -> ContentSummary {
    let content = try await hashing.run { () throws(ObjectStoreError) in try ContentSummary.of(source, key: key) }
    if let sha256, sha256 != content.sha256 {
      throw ObjectStoreError(.checksumMismatch, key: key, reason: "expected \(sha256), got \(content.sha256)")
    }
    return content
  }

  /// Puts `call.body`, whose hashes are known, in place.
  func write(_ call: HTTPCall, key: String, replacing: Bool) async throws(ObjectStoreError) -> ObjectInfo {
    var call = call
    if !replacing { call.set("if-none-match", "*") }
    let (answer, tries) = try await perform(call, key: key, accepting: [200, 201, 202, 412]) { $0 }
    if answer.status == 412 {
      // An earlier try may have been carried out although its answer was lost: then what is there is ours.
      if tries > 1, let info = try await head(call.reading, key: key), info.holds(call.content) { return info }
      throw StoreRefusal(answer, to: call, key: key, dialect: dialect).error
    }
    guard let tag = answer.tag else {
      guard let info = try await head(call.reading, key: key) else {
        throw ObjectStoreError(.unavailable, key: key, reason: "\(call.title) was answered, and nothing is there")
      }
      return info
    }
    return ObjectInfo(key: key, size: call.content.size, tag: tag, checksum: .sha256(call.content.sha256))
  }
}

extension HTTPCall {
  /// A read of the same object.
  var reading: HTTPCall { HTTPCall(method: "GET", origin: origin, path: path) }
}

extension ObjectInfo {
  fileprivate func holds(_ content: ContentSummary) -> Bool {
    switch checksum {
    case .sha256(let digits): digits == content.sha256
    case .md5(let digits): digits == content.md5
    case .composite, .opaque, nil: false
    }
  }
}

extension ObjectStore {
  /// Puts a file that is too large for one request in parts, four at a time; nothing is left of it where one fails.
  func putInParts(
    _ key: String, path: String, content: ContentSummary, partSize: Int64, replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo {
    let upload = try await beginUpload(key, sha256: content.sha256)
    do {
      let parts = try await withThrowingTaskGroup(of: UploadedPart.self) { group in
        var parts: [UploadedPart] = []
        for (index, start) in stride(from: 0, to: content.size, by: Int64.Stride(partSize)).enumerated() {
          if index >= 4, let part = try await group.next() { parts.append(part) }
          let range = start..<min(start + partSize, content.size)
          group.addTask { try await uploadPart(upload, number: index + 1, from: .slice(path: path, range)) }
        }
        for try await part in group { parts.append(part) }
        return parts
      }
      return try await completeUpload(upload, parts: parts, replacing: replacing)
    } catch {
      let failure =
        error as? ObjectStoreError ?? ObjectStoreError(.unavailable, key: key, reason: "\(error)")
      // The first failure is the one to be told, whatever becomes of the parts.
      do { try await abortUpload(upload) } catch {
        throw ObjectStoreError(
          failure.code, key: key, reason: "\(failure.reason); parts are left in the store: \(error.reason)")
      }
      throw failure
    }
  }

  /// A size of parts that keeps their number below `most`.
  static func partSize(for size: Int64, atLeast least: Int64, most: Int64) -> Int64 {
    max(least, (size + most - 1) / most)
  }
}

/// What a key must not be for a store that is reached by HTTP.
func checkedKey(_ key: String, isWritten: Bool = false) throws(ObjectStoreError) {
  let parts = key.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
  let leaves = parts.contains { $0.elementsEqual(".".utf8) || $0.elementsEqual("..".utf8) }
  if key.isEmpty || key.utf8.contains(0) || leaves || isWritten && parts.contains(where: \.isEmpty) {
    throw ObjectStoreError(.badKey, key: key, reason: "a key is parts between slashes, none empty, '.' or '..'")
  }
  if key.utf8.count > 1024 {
    throw ObjectStoreError(.badKey, key: key, reason: "a key has at most 1024 bytes, this one has \(key.utf8.count)")
  }
}
