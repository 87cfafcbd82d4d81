import AsyncHTTPClient
import Domain
import NIOCore
import NIOHTTP1

extension HTTPExchange {
  /// Reads an object, or `range` of it, as `ObjectStore.get` promises.
  func read(
    _ call: HTTPCall, key: String, range: Range<Int64>?, ifTag: String?,
    _ receive: @Sendable ([UInt8]) async throws -> Void
  ) async throws {
    if let range, range.lowerBound < 0 {
      throw ObjectStoreError(.badRequest, key: key, reason: "byte \(range.lowerBound) is before its start")
    }
    if let range, range.isEmpty { return try await readNothing(call, key: key, at: range.lowerBound, ifTag: ifTag) }
    var reading = Reading(key: key, range: range, tag: ifTag)
    var attempt = Attempt(budget: RetryBudget(policy, now: pacing.now()), key: key, title: call.title)
    while true {
      attempt.tries += 1
      var fault: any Error
      do {
        let signed = try await dialect.sign(reading.request(call))
        let response = try await transport.begin(signed)
        let head = HTTPAnswer(
          status: Int(response.status.code), headers: HTTPTransport.headers(response), body: [])
        if head.status == 200 || head.status == 206 {
          try reading.begin(head, dialect)
          fault = try await reading.drain(response, receive) { attempt.budget.progressed(now: pacing.now()) }
          if reading.isComplete { return try reading.checkContent() }
        } else {
          let answer = try await HTTPTransport.finish(response, limit: 1 << 20)
          if answer.status == 416, let range, reading.offset == range.lowerBound {
            return try await readNothing(call, key: key, at: range.lowerBound, ifTag: ifTag)
          }
          if answer.status == 404 { try await confirmHome(key: key) }
          try await attempt.settle(answer, signed, self)
          continue
        }
      } catch let error as ReceiverFailure {
        throw error.underlying
      } catch {
        fault = error
      }
      try await attempt.settle(fault, self)
    }
  }

  /// A read that begins where the object ends hands out nothing; one that begins after is a mistake.
  private func readNothing(_ call: HTTPCall, key: String, at offset: Int64, ifTag: String?) async throws {
    guard let info = try await head(call, key: key) else {
      throw ObjectStoreError(.notFound, key: key, reason: "there is no such object")
    }
    if let ifTag, ifTag != info.tag {
      throw ObjectStoreError(.changed, key: key, reason: "it is version \(info.tag), not \(ifTag)")
    }
    if offset > info.size {
      throw ObjectStoreError(.badRequest, key: key, reason: "byte \(offset) is past its end at \(info.size)")
    }
  }

  /// Length, version and checksum; nil where there is no such object.
  func head(_ call: HTTPCall, key: String) async throws(ObjectStoreError) -> ObjectInfo? {
    var call = call
    call.method = "HEAD"
    let answer = try await perform(call, key: key, accepting: [200, 204, 404])
    guard answer.status != 404 else {
      try await confirmHome(key: key)
      return nil
    }
    guard let size = answer.header("content-length").flatMap({ Int64($0) }), let tag = answer.tag else {
      throw ObjectStoreError(.unavailable, key: key, reason: "\(call.title) was answered without length or ETag")
    }
    return ObjectInfo(key: key, size: size, tag: tag, checksum: dialect.checksum(answer.headers, tag: tag))
  }
}

/// What a receiver threw: it is passed on as it is.
private struct ReceiverFailure: Error { var underlying: any Error }

/// How far a read has come.
private struct Reading {
  let key: String
  let range: Range<Int64>?
  var tag: String?
  var offset: Int64
  /// Where the read ends; known once an answer has told the object's length.
  private var end: Int64?
  private var expected: Checksum?
  private var sha256 = ContentHash()
  private var md5 = MD5Hash()

  static let pieceSize = 256 << 10

  init(key: String, range: Range<Int64>?, tag: String?) {
    self.key = key
    self.range = range
    self.tag = tag
    offset = range?.lowerBound ?? 0
  }

  var isComplete: Bool { end.map { offset >= $0 } ?? false }

  func request(_ call: HTTPCall) -> HTTPCall {
    var call = call
    if let tag { call.set("if-match", ETag.quoted(tag)) }
    let last = end ?? range?.upperBound
    if offset > 0 || last != nil { call.set("range", "bytes=\(offset)-\(last.map { String($0 - 1) } ?? "")") }
    // An empty object has no ranges: one that is read whole is asked for without.
    if offset == 0, range == nil { call.headers.removeAll { $0.name == "range" } }
    return call
  }

  /// Takes note of an answer's head; throws where it is about other bytes than those that were asked for.
  mutating func begin(_ head: HTTPAnswer, _ dialect: any StoreDialect) throws {
    if let found = head.tag {
      if let tag, tag != found {
        throw ObjectStoreError(.changed, key: key, reason: "it is version \(found), not \(tag)")
      }
      tag = found
    } else if offset > (range?.lowerBound ?? 0) {
      throw ObjectStoreError(.changed, key: key, reason: "the store does not tell which version it continues with")
    }
    let size: Int64
    if head.status == 206 {
      guard let stretch = ContentRange(head.header("content-range")), stretch.first == offset else {
        throw TransportFailure(reason: "another range was answered than byte \(offset) on")
      }
      size = stretch.size
    } else {
      guard offset == 0 else { throw TransportFailure(reason: "the store ignores ranges") }
      guard let length = head.header("content-length").flatMap({ Int64($0) }) else {
        throw TransportFailure(reason: "the answer does not tell its length")
      }
      size = length
    }
    let last = min(range?.upperBound ?? size, size)
    if let end, end != last {
      throw ObjectStoreError(.changed, key: key, reason: "it was \(end) bytes long, and is now \(last)")
    }
    end = last
    if range == nil, expected == nil, let tag { expected = dialect.checksum(head.headers, tag: tag) }
  }

  /// Hands out what comes; returns why no more came, which says nothing when the read is complete.
  mutating func drain(
    _ response: HTTPClientResponse, _ receive: @Sendable ([UInt8]) async throws -> Void, _ progressed: () -> Void
  ) async throws -> TransportFailure {
    var iterator = response.body.makeAsyncIterator()
    var gathered: [UInt8] = []
    var failure = TransportFailure(reason: "the answer ended too early")
    while !Task.isCancelled {
      let piece: ByteBuffer?
      do { piece = try await iterator.next() } catch {
        failure = try HTTPTransport.failure(error)
        failure.reason = "cut after byte \(offset + Int64(gathered.count)): \(failure.reason)"
        break
      }
      guard let piece else { break }
      gathered.append(contentsOf: piece.readableBytesView)
      if gathered.count >= Self.pieceSize {
        try await hand(&gathered, receive)
        progressed()
      }
      // What comes after the end was not asked for.
      if let end, offset + Int64(gathered.count) >= end { break }
    }
    try Task.checkCancellation()
    if !gathered.isEmpty {
      try await hand(&gathered, receive)
      progressed()
    }
    return failure
  }

  private mutating func hand(
    _ gathered: inout [UInt8], _ receive: @Sendable ([UInt8]) async throws -> Void
  ) async throws {
    let left = Int((end ?? .max) - offset)
    let piece = gathered.count > left ? Array(gathered[..<left]) : gathered
    gathered.removeAll(keepingCapacity: true)
    switch expected {
    case .sha256: sha256.update(piece)
    case .md5: md5.update(piece)
    case .composite, .opaque, nil: break
    }
    do { try await receive(piece) } catch { throw ReceiverFailure(underlying: error) }
    offset += Int64(piece.count)
  }

  func checkContent() throws(ObjectStoreError) {
    switch expected {
    case .sha256(let digits): try check(digits, sha256.hex())
    case .md5(let digits): try check(digits, md5.hex())
    case .composite, .opaque, nil: break
    }
  }

  private func check(_ expected: String, _ found: String) throws(ObjectStoreError) {
    if expected != found {
      throw ObjectStoreError(.checksumMismatch, key: key, reason: "expected \(expected), got \(found)")
    }
  }
}

/// `bytes 5-12/104`.
private struct ContentRange {
  var first: Int64
  var size: Int64

  init?(_ text: String?) {
    guard let text, text.hasPrefix("bytes ") else { return nil }
    let numbers = text.dropFirst(6).split { $0 == "-" || $0 == "/" }
    guard numbers.count == 3, let first = Int64(numbers[0]), let size = Int64(numbers[2]) else { return nil }
    self.first = first
    self.size = size
  }
}
