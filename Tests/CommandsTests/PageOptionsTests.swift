import ArgumentParser
import Domain
import Testing
import Wire

@testable import Commands

/// Lists that come page by page.
@Suite struct PageOptionsTests {
  private struct Question: Hashable {
    var before: Int64?
    var limit: Int
  }

  private func list(_ words: [String], of total: Int64) async throws -> (Listing<JobID>, [Question]) {
    let page = try PageOptions.parse(words)
    var asked: [Question] = []
    let listing = try await page.fill(atOnce: 10) { before, limit in
      asked.append(Question(before: before, limit: limit))
      let first = min(total, (before ?? .max) - 1)
      let items = stride(from: first, to: max(first - Int64(limit), 0), by: -1).map { JobID($0) }
      let last = items.last?.rawValue
      return Listing(now: Samples.now, items: items, next: last.flatMap { $0 > 1 ? $0 : nil })
    }
    return (listing, asked)
  }

  @Test func bringAsManyAsAreAskedFor() async throws {
    let (listing, asked) = try await list(["--limit", "25"], of: 100)
    #expect(listing.items.map(\.rawValue) == (76...100).reversed() && listing.next == 76)
    #expect(asked == [Question(limit: 10), Question(before: 91, limit: 10), Question(before: 81, limit: 5)])
  }

  @Test(arguments: ["31", "run-31", "job-31", "group-31"]) func goOnBeforeOne(_ id: String) async throws {
    let (listing, _) = try await list(["-n", "3", "--before", id], of: 100)
    #expect(listing.items.map(\.rawValue) == [30, 29, 28])
  }

  @Test func endWithTheLast() async throws {
    let (listing, asked) = try await list([], of: 20)
    #expect(listing.items.count == 20 && listing.next == nil && asked.count == 2)
    let (none, _) = try await list([], of: 0)
    #expect(none.items.isEmpty && none.next == nil)
  }

  @Test func aServerThatGoesRoundInCirclesIsLeft() async throws {
    let listing = try await PageOptions.parse([]).fill { _, _ in
      Listing(now: Samples.now, items: [JobID](), next: 7)
    }
    #expect(listing.items.isEmpty)
  }

  @Test(arguments: [["--limit", "0"], ["--before", "yesterday"]]) func refuseWhatIsNoPage(_ words: [String]) {
    #expect(throws: (any Error).self) { try PageOptions.parse(words) }
  }
}
