import ArgumentParser
import Domain
import Wire

/// Which of many things are listed.
struct PageOptions: ParsableArguments {
  @Option(
    name: [.customShort("n"), .long], help: ArgumentHelp("How many at most, the newest first.", valueName: "count"))
  var limit = 1000

  @Option(help: ArgumentHelp("Only those older than this one, as in 17 or run-17.", valueName: "id"))
  var before: String?

  /// Whether somebody asks for less than all.
  var isGiven: Bool { limit != 1000 || before != nil }

  func validate() throws {
    guard limit > 0 else { throw ValidationError("--limit \(limit): ask for at least one") }
    if let before, number(before) == nil {
      throw ValidationError("--before \(before): write a number or an id, as in 17 or run-17")
    }
  }

  private func number(_ text: String) -> Int64? {
    RunID(text: text)?.rawValue ?? JobID(text: text)?.rawValue ?? JobGroupID(text: text)?.rawValue
  }

  /// Asks for pages - those before `before`, at most `limit` - until it has what is asked for, or there is no more.
  ///
  /// The server gives `atOnce` at a time, at most.
  func fill<Item>(
    atOnce: Int = 1000, _ ask: (_ before: Int64?, _ limit: Int) async throws -> Listing<Item>
  ) async throws -> Listing<Item> {
    var found = try await ask(before.flatMap(number), min(limit, atOnce))
    while found.items.count < limit, let next = found.next {
      let more = try await ask(next, min(limit - found.items.count, atOnce))
      found.items += more.items
      // A server that goes round in circles is not followed.
      found.next = more.items.isEmpty ? nil : more.next
    }
    return found
  }

  /// Says that there are more, and how to see them.
  func tellRest<Item>(_ listing: Listing<Item>, of things: String, _ context: Context) {
    guard let next = listing.next, !context.json else { return }
    context.console.note(
      "(\(listing.items.count) \(things), and there are older ones: --before \(next), or a greater --limit)")
  }
}
