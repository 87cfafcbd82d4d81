import Domain
import Testing

@testable import Launching

@Suite(.timeLimit(.minutes(1))) struct PlacedAgentsTests {
  private static let node = NodeID(1)

  @Test func placesOnceForAllWhoAskAtTheSameTime() async throws {
    let placed = PlacedAgents()
    let (begun, begin) = AsyncStream<Void>.makeStream()
    let (gate, open) = AsyncStream<Void>.makeStream()
    async let first: Void = placed.once(Self.node, "a") {
      begin.yield()
      for await _ in gate { return }
    }
    for await _ in begun { break }
    async let second: Void = placed.once(Self.node, "a") { Issue.record("placed twice") }
    open.yield()
    _ = try await (first, second)
    #expect(placed.contains(Self.node, "a"))
  }

  @Test func aCancelledOneIsNotHeldUpByANodeThatHangsAndTheNextBeginsAnew() async throws {
    let placed = PlacedAgents()
    let (begun, begin) = AsyncStream<Void>.makeStream()
    let (silence, end) = AsyncStream<Void>.makeStream()
    defer { end.finish() }
    let first = Task {
      try await placed.once(Self.node, "a") {
        begin.yield()
        for await _ in silence {}
        try Task.checkCancellation()
      }
    }
    for await _ in begun { break }
    first.cancel()
    await #expect(throws: CancellationError.self) { try await first.value }
    #expect(!placed.contains(Self.node, "a"))
    try await placed.once(Self.node, "a") {}
    #expect(placed.contains(Self.node, "a"))
  }
}
