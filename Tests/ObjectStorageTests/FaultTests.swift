import Foundation
import ObjectStorage
import Synchronization
import TestKit
import Testing

/// What stores do on bad days of network and server: the right bytes, or an error that names the cause; never others.
@Suite(.timeLimit(.minutes(5)), .serialized)
struct FaultTests {
  struct Case: Sendable, CustomTestStringConvertible {
    enum Outcome: Sendable {
      case right
      case fails(ObjectStoreError.Code, naming: String)
    }

    var name: String
    var fault: FaultProxy.Fault
    var methods: Set<String> = ["GET"]
    var outcome: Outcome
    var kinds = FaultTests.kinds

    var testDescription: String { name }
  }

  static let kinds: [StoreKind] = [.swift, .s3, .delegatedSwift, .delegatedS3]
  static let listing: [StoreKind] = [.swift, .s3]
  static let content = [UInt8]((0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 2) })

  static let reads: [Case] = [
    Case(name: "500 three times", fault: answer(500, times: 3), outcome: .right),
    Case(name: "503 with Retry-After", fault: answer(503, ["Retry-After: 7"], times: 2), outcome: .right),
    Case(name: "429 for ever", fault: answer(429, times: 99), outcome: .fails(.unavailable, naming: "429")),
    Case(
      name: "503 with a Retry-After past the budget", fault: answer(503, ["Retry-After: 3600"], times: 1),
      outcome: .fails(.unavailable, naming: "3600")),
    Case(name: "400", fault: answer(400, times: 1), outcome: .fails(.badRequest, naming: "400")),
    Case(name: "403", fault: answer(403, times: 9), outcome: .fails(.denied, naming: "403")),
    Case(name: "404", fault: answer(404, times: 1), outcome: .fails(.notFound, naming: "404")),
    Case(name: "412", fault: answer(412, times: 1), outcome: .fails(.changed, naming: "412")),
    Case(name: "two resets", fault: .reset(times: 2), outcome: .right),
    Case(name: "resets for ever", fault: .reset(times: 99), outcome: .fails(.unavailable, naming: "5 tries")),
    Case(name: "one hang", fault: .hang(times: 1), outcome: .right),
    Case(name: "a lost answer", fault: .lose(times: 1), outcome: .right),
    Case(name: "cut again and again", fault: .cut(after: 300_000, times: 2), outcome: .right),
    Case(name: "cut at once", fault: .cut(after: 0, times: 2), outcome: .right),
    Case(name: "cut for ever", fault: .cut(after: 0, times: 99), outcome: .fails(.unavailable, naming: "cut")),
    Case(
      name: "a body that ends early and says so", fault: .shorten(to: 1000, times: 99),
      outcome: .fails(.checksumMismatch, naming: "expected")),
    Case(
      name: "a flipped byte", fault: .flip(at: 123_456, times: 99),
      outcome: .fails(.checksumMismatch, naming: "expected")),
    // The SHA-256 beside the object is right: only the version's name is not.
    Case(name: "another ETag", fault: .otherTag, outcome: .right),
    Case(name: "a wrong clock", fault: .otherDate, outcome: .right),
    Case(name: "a revoked token", fault: .revokedToken, outcome: .right, kinds: [.swift]),
    Case(
      name: "a clock that the store refuses once",
      fault: .skewed(times: 1),
      outcome: .fails(.denied, naming: "RequestTimeTooSkewed"), kinds: [.delegatedS3]),
  ]

  private static func answer(
    _ status: Int, _ headers: [String] = [], _ body: String = "fault", times: Int
  ) -> FaultProxy.Fault {
    .answer(status: status, headers: headers, body: body, times: times)
  }

  @Test(arguments: reads)
  func readsRightBytesOrSaysWhyNot(test: Case) async throws {
    for kind in test.kinds {
      try await Self.with(kind) { place, proxy, pauses in
        try await place.store.put("k", from: .bytes(Self.content))
        pauses.reset()
        proxy.set(test.fault, on: test.methods)
        await check(test, kind) {
          let found = try await place.store.bytes("k")
          #expect(found == Self.content, "\(kind)")
        }
        #expect(pauses.total <= .seconds(40), "\(kind): within the budget")
        #expect(proxy.seen >= 1, "\(kind): the fault was met")
        #expect(proxy.seen <= 6, "\(kind): \(proxy.seen) requests")
        if test.name == "503 with Retry-After" { #expect(pauses.total >= .seconds(14), "\(kind)") }
      }
    }
  }

  static let writes: [Case] = [
    Case(name: "503 twice", fault: answer(503, times: 2), outcome: .right),
    Case(name: "a reset", fault: .reset(times: 1), outcome: .right),
    Case(name: "a hang", fault: .hang(times: 1), outcome: .right),
    // The first try was carried out: the second meets its object, which is no other writer's.
    Case(name: "a lost answer", fault: .lose(times: 1), outcome: .right),
    Case(name: "lost answers for ever", fault: .lose(times: 99), outcome: .fails(.unavailable, naming: "tries")),
    Case(name: "no room", fault: answer(507, times: 1), outcome: .fails(.outOfSpace, naming: "507")),
    Case(name: "a conflict", fault: answer(409, times: 1), outcome: .fails(.badRequest, naming: "409")),
    Case(name: "a revoked token", fault: .revokedToken, outcome: .right, kinds: [.swift]),
  ]

  @Test(arguments: writes)
  func writesOnceOrSaysWhyNot(test: Case) async throws {
    for kind in test.kinds {
      try await Self.with(kind) { place, proxy, pauses in
        proxy.set(test.fault, on: ["PUT"])
        await check(test, kind) {
          _ = try await place.store.put("k", from: .bytes(Self.content), sha256: nil, replacing: false)
        }
        #expect(pauses.total <= .seconds(40), "\(kind): within the budget")
        proxy.set(.none, on: [])
        if case .right = test.outcome {
          let found = try await place.store.bytes("k")
          #expect(found == Self.content, "\(kind)")
        }
      }
    }
  }

  static let lists: [Case] = [
    Case(name: "a listing that is cut", fault: .cut(after: 200, times: 2), outcome: .right),
    Case(name: "a listing that ends early and says so", fault: .shorten(to: 200, times: 2), outcome: .right),
    Case(
      name: "listings that always end early", fault: .shorten(to: 200, times: 99),
      outcome: .fails(.unavailable, naming: "listing")),
    Case(name: "500 twice", fault: answer(500, times: 2), outcome: .right),
  ]

  @Test(arguments: lists)
  func listsAllOrSaysWhyNot(test: Case) async throws {
    for kind in Self.listing {
      try await Self.with(kind) { place, proxy, _ in
        let keys = (0..<9).map { "k\($0)" }
        for key in keys { try await place.store.put(key, from: .bytes([1])) }
        proxy.set(test.fault, on: ["GET"])
        await check(test, kind) {
          let page = try await place.store.list(prefix: "", after: nil, limit: 100)
          #expect(page.entries.map(\.key) == keys, "\(kind)")
        }
      }
    }
  }

  /// One request may be refused for it, no more: a node has no key for the day that the wrong clock shows.
  @Test(arguments: ["GET", "HEAD", "PUT"]) func forgetsAClockThatWasWrongOnce(method: String) async throws {
    for kind in [StoreKind.s3, .delegatedS3] {
      try await Self.with(kind) { place, proxy, _ in
        try await place.store.put("k", from: .bytes(Self.content))
        proxy.set(.skewed(times: 1), on: [method])
        do {
          if method == "GET" { _ = try await place.store.bytes("k") }
          if method == "HEAD" { _ = try await place.store.head("k") }
          if method == "PUT" { _ = try await place.store.put("other", from: .bytes([1])) }
        } catch let error as ObjectStoreError {
          #expect(error.code == .denied, "\(kind): \(error)")
        }
        #expect(try await place.store.bytes("k") == Self.content)
        try await place.store.put("k2", from: .bytes([1]))
      }
    }
  }

  @Test func readsOnlyOneVersionAcrossACut() async throws {
    for kind in Self.kinds {
      try await Self.with(kind) { place, proxy, _ in
        try await place.store.put("k", from: .bytes(Self.content))
        proxy.set(.cut(after: 300_000, times: 1), on: ["GET"])
        let isFirst = Mutex(true)
        await expect(.changed) {
          try await place.store.get("k") { _ in
            if isFirst.withLock({ first in
              defer { first = false }; return first
            }) {
              try await place.owner.put("k", from: .bytes([UInt8](repeating: 1, count: 700_000)))
            }
          }
        }
      }
    }
  }

  @Test func namesAServerThatIsGone() async throws {
    for kind in Self.kinds {
      try await Self.with(kind) { place, proxy, _ in
        proxy.close()
        await expect(.unavailable) { _ = try await place.store.bytes("k") }
      }
    }
  }

  @Test func asksForOneTokenForManyRequests() async throws {
    try await Self.with(.swift) { place, proxy, _ in
      #expect(proxy.logins == 1)
      for expected in [1, 2] {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for number in 0..<20 { group.addTask { try await place.store.put("k\(number)", from: .bytes([1])) } }
          try await group.waitForAll()
        }
        #expect(proxy.logins == expected)
        proxy.set(.revokedToken, on: ["PUT"])
      }
    }
  }

  private func check(_ test: Case, _ kind: StoreKind, _ body: () async throws -> Void) async {
    do {
      try await body()
      if case .fails(let code, _) = test.outcome { Issue.record("\(kind): expected \(code)") }
    } catch let error as ObjectStoreError {
      guard case .fails(let code, let word) = test.outcome else {
        Issue.record("\(kind): \(error)")
        return
      }
      #expect(error.code == code, "\(kind): \(error)")
      #expect(error.description.contains(word), "\(kind): \(error)")
    } catch {
      Issue.record("\(kind): \(error)")
    }
  }

  /// A store that is reached through a proxy, and whose pauses take no time.
  private static func with(
    _ kind: StoreKind, _ body: (StoreKind.Place, FaultProxy, Pauses) async throws -> Void
  ) async throws {
    let pauses = Pauses()
    let made = Mutex<FaultProxy?>(nil)
    defer { made.withLock { $0?.close() } }
    try await kind.with(
      patience: HTTPPatience(connectSeconds: 5, silenceSeconds: 3), pacing: pauses.pacing,
      through: { server in
        let proxy = try FaultProxy(to: server, mark: "/t-")
        made.withLock { $0 = proxy }
        return proxy.address
      }
    ) { place in
      let proxy = try #require(made.withLock { $0 })
      try await body(place, proxy, pauses)
    }
  }
}

/// Time that passes only while something sleeps.
final class Pauses: Sendable {
  private let passed = Mutex(Duration.zero)

  var total: Duration { passed.withLock { $0 } }

  func reset() { passed.withLock { $0 = .zero } }

  var pacing: Pacing {
    Pacing(
      now: { self.total }, random: { 0.5 },
      sleep: { pause in
        try Task.checkCancellation()
        self.passed.withLock { $0 += pause }
      })
  }
}
