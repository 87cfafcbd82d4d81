import Domain
import FoundationEssentials

extension SwiftObjectStore {
  /// Pages by marker until `limit` is reached; see `ObjectStore`.
  ///
  /// A dynamic large object is listed with length 0.
  public func list(
    prefix: String, after marker: String?, limit: Int
  ) async throws(ObjectStoreError) -> ObjectPage {
    try await list(container: settings.container, base: settings.prefix, prefix: prefix, after: marker, limit: limit)
  }

  func list(
    container: String, base: String, prefix: String, after marker: String?, limit: Int
  ) async throws(ObjectStoreError) -> ObjectPage {
    let limit = max(1, limit)
    var entries: [ObjectInfo] = []
    while entries.count < limit {
      let size = min(settings.pageSize, limit - entries.count)
      var call = HTTPCall(method: "GET", origin: "", path: "/\(container)")
      call.query = [("format", "json"), ("limit", String(size)), ("prefix", base + prefix)]
      let after = entries.last?.key ?? marker
      if let after { call.query.append(("marker", base + after)) }
      let page = try await exchange.perform(call, key: prefix, accepting: [200, 204], limit: 64 << 20) {
        answer throws(TransportFailure) in
        let page = try rows(answer, base: base)
        try Listing.check(page, prefix: prefix, after: after)
        return page
      }.value
      entries += page
      // A page may be short although more follows: only an empty one is the end.
      if page.isEmpty { return ObjectPage(entries: entries, next: nil) }
    }
    return ObjectPage(entries: entries, next: entries.last?.key)
  }

  private func rows(_ answer: HTTPAnswer, base: String) throws(TransportFailure) -> [ObjectInfo] {
    if answer.status == 204 { return [] }
    let rows: [Row]
    do { rows = try JSONDecoder().decode([Row].self, from: Data(answer.body)) } catch {
      throw TransportFailure(reason: "the listing cannot be read")
    }
    var entries: [ObjectInfo] = []
    for row in rows {
      guard row.name.hasPrefix(base), row.bytes >= 0 else {
        throw TransportFailure(reason: "the listing has \(row.name), which was not asked for")
      }
      let tag = ETag.bare(row.slo_etag ?? row.hash)
      let isPlain = row.slo_etag == nil && Checksum.isHex(tag, length: 32)
      entries.append(
        ObjectInfo(
          key: String(row.name.dropFirst(base.count)), size: row.bytes, tag: tag,
          checksum: isPlain ? .md5(tag) : .opaque(tag)))
    }
    return entries
  }
}

// Field names are Swift's.
// swift-format-ignore: AlwaysUseLowerCamelCase
private struct Row: Decodable {
  var name: String
  var bytes: Int64
  var hash: String
  var slo_etag: String?
}
