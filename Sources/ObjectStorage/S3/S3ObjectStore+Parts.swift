import Domain

extension S3ObjectStore {
  /// See `ObjectStore`.
  public func beginUpload(_ key: String, sha256: String?) async throws(ObjectStoreError) -> PartedUpload {
    try checkedKey(key, isWritten: true)
    var call = call("POST", key, query: [("uploads", "")])
    call.set("content-type", "application/octet-stream")
    if let sha256 { call.set("x-amz-meta-sha256", sha256) }
    let id = try await exchange.perform(call, key: key, accepting: [200]) { answer throws(TransportFailure) in
      guard let id = (try? XMLElement.parse(answer.body))?.text("UploadId"), !id.isEmpty else {
        throw TransportFailure(reason: "the answer names no upload")
      }
      return id
    }.value
    return PartedUpload(key: key, id: id, sha256: sha256)
  }

  /// See `ObjectStore`; all parts but the last have 5 MiB at least.
  public func uploadPart(
    _ upload: PartedUpload, number: Int, from source: ObjectSource
  ) async throws(ObjectStoreError) -> UploadedPart {
    guard (1...10_000).contains(number) else {
      throw ObjectStoreError(.badRequest, key: upload.key, reason: "parts are numbered from 1 to 10,000")
    }
    let content = try await HTTPExchange.summary(of: source, sha256: nil, key: upload.key)
    var call = call("PUT", upload.key, query: [("partNumber", String(number)), ("uploadId", upload.id)])
    call.body = source
    call.content = content
    let answer = try await exchange.perform(call, key: upload.key, accepting: [200])
    return UploadedPart(number: number, size: content.size, tag: answer.tag ?? content.md5 ?? "")
  }

  /// See `ObjectStore`.
  public func completeUpload(
    _ upload: PartedUpload, parts: [UploadedPart], replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo {
    let sorted = parts.sorted { $0.number < $1.number }
    let list = sorted.map { part in
      "<Part><PartNumber>\(part.number)</PartNumber><ETag>&quot;\(part.tag)&quot;</ETag></Part>"
    }
    let body = Array("<CompleteMultipartUpload>\(list.joined())</CompleteMultipartUpload>".utf8)
    var call = call("POST", upload.key, query: [("uploadId", upload.id)])
    call.body = .bytes(body)
    call.content = try await HTTPExchange.summary(of: .bytes(body), sha256: nil, key: upload.key)
    call.set("content-type", "application/xml")
    if !replacing { call.set("if-none-match", "*") }
    let size = sorted.reduce(0) { $0 + $1.size }
    let (answer, tries) = try await exchange.perform(call, key: upload.key, accepting: [200, 404, 412]) {
      answer throws(TransportFailure) -> (status: Int, tag: String) in
      guard answer.status == 200 else { return (answer.status, "") }
      // A failure that comes late is told in the body of a 200.
      guard let document = try? XMLElement.parse(answer.body), document.name == "CompleteMultipartUploadResult",
        let tag = document.text("ETag")
      else { throw TransportFailure(reason: dialect.explain(answer).text) }
      return (200, ETag.bare(tag))
    }
    func info(_ tag: String) -> ObjectInfo {
      ObjectInfo(key: upload.key, size: size, tag: tag, checksum: upload.sha256.map { .sha256($0) } ?? .opaque(tag))
    }
    if answer.status == 200 { return info(answer.tag) }
    // An earlier try may have been carried out although its answer was lost.
    if tries > 1, let found = try await head(upload.key), found.size == size, found.sha256 == upload.sha256 {
      return info(found.tag)
    }
    if answer.status == 412 {
      throw ObjectStoreError(.exists, key: upload.key, reason: "there is an object already")
    }
    throw ObjectStoreError(.badRequest, key: upload.key, reason: "there is no upload \(upload.id)")
  }

  /// See `ObjectStore`.
  public func abortUpload(_ upload: PartedUpload) async throws(ObjectStoreError) {
    let call = call("DELETE", upload.key, query: [("uploadId", upload.id)])
    _ = try await exchange.perform(call, key: upload.key, accepting: [200, 204, 404])
  }
}
