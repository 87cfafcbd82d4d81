import Domain

extension S3ObjectStore {
  /// Pages of ListObjectsV2 until `limit` is reached; see `ObjectStore`.
  public func list(
    prefix: String, after marker: String?, limit: Int
  ) async throws(ObjectStoreError) -> ObjectPage {
    let limit = max(1, limit)
    var entries: [ObjectInfo] = []
    var token: String?
    repeat {
      var query = [
        (name: "list-type", value: "2"), ("encoding-type", "url"), ("prefix", settings.prefix + prefix),
        ("max-keys", String(min(settings.pageSize, limit - entries.count))),
      ]
      if let token { query.append(("continuation-token", token)) }
      if token == nil, let marker { query.append(("start-after", settings.prefix + marker)) }
      var call = HTTPCall(method: "GET", origin: "", path: settings.isVirtualHosted ? "/" : "")
      call.query = query
      let after = entries.last?.key ?? marker
      let page = try await exchange.perform(call, key: prefix, accepting: [200], limit: 16 << 20) {
        answer throws(TransportFailure) in
        try readPage(answer, prefix: prefix, after: after)
      }.value
      entries += page.entries
      token = page.token
    } while token != nil && entries.count < limit
    return ObjectPage(entries: entries, next: token == nil ? nil : entries.last?.key)
  }

  private func readPage(
    _ answer: HTTPAnswer, prefix: String, after marker: String?
  ) throws(TransportFailure) -> (entries: [ObjectInfo], token: String?) {
    let document: XMLElement
    do { document = try XMLElement.parse(answer.body) } catch {
      throw TransportFailure(reason: "the listing cannot be read: \(error.reason)")
    }
    guard document.name == "ListBucketResult" else {
      throw TransportFailure(reason: "the listing is a <\(document.name)>")
    }
    let isEncoded = document.text("EncodingType") == "url"
    var entries: [ObjectInfo] = []
    for element in document.all("Contents") {
      guard let raw = element.text("Key"), let size = element.text("Size").flatMap({ Int64($0) }),
        let name = isEncoded ? PercentEncoding.decode(raw, plusIsSpace: true) : raw, name.hasPrefix(settings.prefix)
      else { throw TransportFailure(reason: "the listing has an entry without key or size") }
      let tag = ETag.bare(element.text("ETag") ?? "")
      entries.append(
        ObjectInfo(
          key: String(name.dropFirst(settings.prefix.count)), size: size, tag: tag,
          checksum: tag.isEmpty ? nil : dialect.checksum([:], tag: tag)))
    }
    try Listing.check(entries, prefix: prefix, after: marker)
    let isTruncated = document.text("IsTruncated") == "true"
    let token = document.text("NextContinuationToken")
    if isTruncated, token == nil || entries.isEmpty {
      throw TransportFailure(reason: "the listing says that more follows, and not where")
    }
    return (entries, isTruncated ? token : nil)
  }
}

/// What every page of a listing has to be.
enum Listing {
  /// Throws where keys do not start with `prefix`, or do not ascend from `marker`: then objects would be lost or come
  /// twice.
  static func check(_ entries: [ObjectInfo], prefix: String, after marker: String?) throws(TransportFailure) {
    var last = marker
    for entry in entries {
      guard entry.key.utf8.starts(with: prefix.utf8) else {
        throw TransportFailure(reason: "the listing has \(entry.key), which does not start with \(prefix)")
      }
      if let last, !last.utf8.lexicographicallyPrecedes(entry.key.utf8) {
        throw TransportFailure(reason: "the listing has \(entry.key) after \(last)")
      }
      last = entry.key
    }
  }
}
