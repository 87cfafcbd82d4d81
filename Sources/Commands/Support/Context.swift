import APIClient
import ArgumentParser
import Domain
import Foundation
import Wire

/// What every command that asks the server accepts.
struct GlobalOptions: ParsableArguments {
  @Flag(help: "Print the answer as JSON, as the API gives it.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "The client's settings, as JSON with url and token. Else BATON_CONFIG, else ~/.config/baton/config.json.",
      valueName: "file"))
  var config: String?

  /// Lends a client to `body`, and says on standard error what is odd about the settings.
  func withClient<T>(_ body: (BatonClient, Context) async throws -> T) async throws -> T {
    let context = Context.current(json: json)
    let configuration = try ClientConfiguration.load(file: config, environment: ProcessInfo.processInfo.environment)
    for warning in configuration.warnings { context.console.note("warning: \(warning)") }
    return try await BatonClient.with(configuration) { client in try await body(client, context) }
  }
}

/// What a command needs of its surroundings.
struct Context: Sendable {
  var console: Console
  var zone: TimeZone
  /// Whether the answer is to be JSON.
  var json: Bool

  /// This process's.
  static func current(json: Bool) -> Context {
    Context(
      console: .current(environment: ProcessInfo.processInfo.environment), zone: .current, json: json)
  }

  /// Writes times as of `now`: the server's where an answer tells it, else this machine's.
  func times(_ now: Timestamp? = nil) -> TimeText {
    TimeText(now: now ?? Timestamp(secondsSinceEpoch: Date().timeIntervalSince1970), zone: zone)
  }

  /// Prints `value` as JSON, or else `text`.
  func show(_ value: some Encodable, _ text: () -> String) throws {
    console.out(json ? try JSONText.pretty(value) : text())
  }

  /// A table, as wide as it may be, or `empty` where it has no rows.
  func table(_ table: Table, empty: String) -> String {
    table.rows.isEmpty ? empty : table.rendered(width: console.tableWidth, paint: console.paint)
  }

  /// Facts, as wide as they may be.
  func facts(_ facts: Facts) -> String { facts.rendered(width: console.tableWidth, paint: console.paint) }

  /// Sentences, broken where the screen is.
  func prose(_ text: String) -> String { Prose.wrapped(text, width: console.tableWidth) }

  /// A reading of a clock that does not jump.
  static func uptime() -> TimeSpan { .seconds(ProcessInfo.processInfo.systemUptime) }
}

/// Values of the API as text.
enum JSONText {
  /// Many lines, keys in alphabetical order.
  static func pretty(_ value: some Encodable) throws -> String {
    try encoded(value, [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
  }

  /// One line, keys in alphabetical order.
  static func line(_ value: some Encodable) throws -> String {
    try encoded(value, [.sortedKeys, .withoutEscapingSlashes])
  }

  private static func encoded(_ value: some Encodable, _ format: JSONEncoder.OutputFormatting) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = format
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: NonNumber.infinity, negativeInfinity: NonNumber.minusInfinity, nan: NonNumber.nan)
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}
