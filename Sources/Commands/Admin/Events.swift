import APIClient
import ArgumentParser
import Domain
import Wire

/// `baton events`.
struct Events: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract: "Print the audit log: who did what, when.",
    discussion: Help.examples("baton events", "baton events --subject job-17", "baton events -f"))

  @Option(help: ArgumentHelp("Only about this, as in job-17, lease-3.", valueName: "id"))
  var subject: String?

  @Option(help: ArgumentHelp("Only those after this id.", valueName: "id"))
  var after: Int64?

  @Option(help: "How many at most.")
  var limit = 100

  @Flag(name: [.short, .long], help: "Go on with those to come.")
  var follow = false

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    guard limit > 0 else { throw ValidationError("--limit \(limit): ask for at least one") }
    if let after, after < 0 { throw ValidationError("--after \(after): ids begin with 1") }
  }

  func run() async throws {
    try await global.withClient { client, context in
      // Opened first, so that nothing falls between the list and the stream.
      let opened = follow ? try await client.eventStream(subject: subject) : nil
      let events = try await client.events(after: after.map { EventID($0) }, limit: limit, subject: subject)
      // The newest come first, and a log reads the other way round.
      let inOrder = events.items.sorted { $0.id < $1.id }
      guard let opened else {
        try context.show(events) { inOrder.map { Self.line($0, context.times()) }.joined(separator: "\n") }
        return
      }
      for event in inOrder { try Self.print(event, context) }
      let shown = Set(inOrder.map(\.id))
      var place: String?
      var stream: EventStream<EventView>? = opened
      try await Persistence().go { progressed in
        let events: EventStream<EventView>
        if let first = stream {
          events = first
        } else {
          events = try await client.eventStream(subject: subject, after: place)
        }
        stream = nil
        for try await event in events.placed {
          progressed()
          place = event.id ?? place
          if !shown.contains(event.value.id) { try Self.print(event.value, context) }
        }
        return false
      }
    }
  }

  private static func print(_ event: EventView, _ context: Context) throws {
    context.console.out(context.json ? try JSONText.line(event) : line(event, context.times()))
  }

  /// One line for people.
  static func line(_ event: EventView, _ times: TimeText) -> String {
    Printable.line(
      "\(times.absolute(event.at))  \(event.subject)  \(event.action)  \(event.actor)  \(event.detail)")
  }
}
