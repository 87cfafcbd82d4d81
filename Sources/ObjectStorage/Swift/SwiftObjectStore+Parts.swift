import Domain
import FoundationEssentials

// Parts are objects `<key>/<id>/part-NNNNNN` of the container for parts; what joins them is a manifest at the key.
extension SwiftObjectStore {
  /// Makes the container for parts where it is missing; see `ObjectStore`.
  public func beginUpload(_ key: String, sha256: String?) async throws(ObjectStoreError) -> PartedUpload {
    try checkedKey(key, isWritten: true)
    try await create(settings.segmentsContainer)
    let id = String(UInt64.random(in: 0...UInt64.max), radix: 16) + String(UInt64.random(in: 0...UInt64.max), radix: 16)
    return PartedUpload(key: key, id: id, sha256: sha256)
  }

  /// See `ObjectStore`; Swift knows nothing of uploads, so that one that was aborted is not noticed here.
  public func uploadPart(
    _ upload: PartedUpload, number: Int, from source: ObjectSource
  ) async throws(ObjectStoreError) -> UploadedPart {
    guard (1...999_999).contains(number) else {
      throw ObjectStoreError(.badRequest, key: upload.key, reason: "parts are numbered from 1 to 999,999")
    }
    let content = try await HTTPExchange.summary(of: source, sha256: nil, key: upload.key)
    let call = segment("PUT", try partName(upload, number)).carrying(source, content)
    let written = try await exchange.write(call, key: upload.key, replacing: true)
    return UploadedPart(number: number, size: content.size, tag: written.tag)
  }

  /// Writes the manifest, and manifests for it to name where there are too many parts; see `ObjectStore`.
  public func completeUpload(
    _ upload: PartedUpload, parts: [UploadedPart], replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo {
    // Swift wants a byte in every part.
    var rows: [ManifestRow] = []
    for part in parts.sorted(by: { $0.number < $1.number }) where part.size > 0 {
      let path = "/\(settings.segmentsContainer)/\(try partName(upload, part.number))"
      rows.append(ManifestRow(path: path, etag: part.tag, size_bytes: part.size))
    }
    if rows.isEmpty { return try await put(upload.key, from: .bytes([]), sha256: upload.sha256, replacing: replacing) }
    var level = 0
    while rows.count > settings.manifestSize {
      level += 1
      var next: [ManifestRow] = []
      for (index, start) in stride(from: 0, to: rows.count, by: settings.manifestSize).enumerated() {
        let group = Array(rows[start..<min(start + settings.manifestSize, rows.count)])
        let name = try segmentPrefix(upload) + "manifest-\(level)-\(Self.padded(index + 1))"
        let made = try await join(group, at: segment("PUT", name), upload, replacing: true)
        next.append(
          ManifestRow(path: "/\(settings.segmentsContainer)/\(name)", etag: made.tag, size_bytes: made.size))
      }
      rows = next
    }
    var call = call("PUT", upload.key)
    call.set("content-type", "application/octet-stream")
    if let sha256 = upload.sha256 { call.setSHA256(sha256) }
    var info = try await join(rows, at: call, upload, replacing: replacing)
    if let sha256 = upload.sha256 { info.checksum = .sha256(sha256) }
    return info
  }

  private func join(
    _ rows: [ManifestRow], at call: HTTPCall, _ upload: PartedUpload, replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    let body: [UInt8]
    do { body = Array(try encoder.encode(rows)) } catch {
      throw ObjectStoreError(.badRequest, key: upload.key, reason: "\(error)")
    }
    var call = call
    call.query.append(("multipart-manifest", "put"))
    call.body = .bytes(body)
    call.content = try await HTTPExchange.summary(of: .bytes(body), sha256: nil, key: upload.key)
    if !replacing { call.set("if-none-match", "*") }
    let size = rows.reduce(0) { $0 + $1.size_bytes }
    let (answer, tries) = try await exchange.perform(call, key: upload.key, accepting: [200, 201, 202, 412]) { $0 }
    if answer.status != 412, let tag = answer.tag {
      return ObjectInfo(key: upload.key, size: size, tag: tag, checksum: .opaque(tag))
    }
    let found = try await exchange.head(call.reading, key: upload.key)
    // The ETag of a manifest is the hash of its parts' hashes: with it an earlier try is known whose answer was lost.
    let expected = MD5Hash.of(Array(rows.map(\.etag).joined().utf8))
    if let found, answer.status != 412 || tries > 1 && found.tag == expected { return found }
    throw StoreRefusal(answer, to: call, key: upload.key, dialect: exchange.dialect).error
  }

  /// Removes all parts; see `ObjectStore`.
  public func abortUpload(_ upload: PartedUpload) async throws(ObjectStoreError) {
    let prefix = try segmentPrefix(upload)
    var marker: String?
    repeat {
      let page = try await list(
        container: settings.segmentsContainer, base: "", prefix: prefix, after: marker, limit: settings.pageSize)
      for entry in page.entries {
        _ = try await exchange.perform(segment("DELETE", entry.key), key: upload.key, accepting: [200, 204, 404])
      }
      marker = page.next
    } while marker != nil
  }

  private func segment(_ method: String, _ name: String) -> HTTPCall {
    HTTPCall(method: method, origin: "", path: "/\(settings.segmentsContainer)/\(name)")
  }

  private func partName(_ upload: PartedUpload, _ number: Int) throws(ObjectStoreError) -> String {
    try segmentPrefix(upload) + "part-\(Self.padded(number))"
  }

  private func segmentPrefix(_ upload: PartedUpload) throws(ObjectStoreError) -> String {
    guard !upload.id.isEmpty, upload.id.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }) else {
      throw ObjectStoreError(.badRequest, key: upload.key, reason: "there is no upload \(upload.id)")
    }
    return "\(settings.prefix)\(upload.key)/\(upload.id)/"
  }

  private static func padded(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
  }
}

// Field names are Swift's.
// swift-format-ignore: AlwaysUseLowerCamelCase
private struct ManifestRow: Encodable {
  var path: String
  var etag: String
  var size_bytes: Int64
}
