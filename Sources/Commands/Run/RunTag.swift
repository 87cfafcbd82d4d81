import APIClient
import ArgumentParser
import Domain
import Foundation
import Wire

/// `baton run tag`.
struct RunTag: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tag", abstract: "Add words that a run is found by, or take them away.",
    discussion: Help.examples(
      "baton run tag 17 baseline paper", "baton run tag 17 paper --remove", "baton run list --tag baseline"))

  @Argument(help: "Its id, as in 17 or run-17.")
  var run: String

  @Argument(help: "The words.")
  var words: [String]

  @Flag(help: "Take them away.")
  var remove = false

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let tags = try await client.tag(run, remove ? TagRequest(remove: words) : TagRequest(add: words))
      try context.show(tags) {
        "\(tags.run): " + (tags.tags.isEmpty ? "no words" : tags.tags.map(Printable.line).joined(separator: ", "))
      }
    }
  }
}

/// `baton run note`.
struct RunNoteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "note", abstract: "Write a note about a run; without a text, show its notes.",
    discussion: Help.examples(
      "baton run note 17 'diverges after the warm-up'", "git log -1 | baton run note 17 -", "baton run note 17"))

  @Argument(help: "Its id, as in 17 or run-17.")
  var run: String

  @Argument(help: "The text; - reads standard input.")
  var text: String?

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    let body = try text.map(Self.read)
    try await global.withClient { client, context in
      let notes: RunNotes
      if let body {
        notes = try await client.addNote(body, to: run)
      } else {
        let view = try await client.run(run)
        notes = RunNotes(run: view.id, notes: view.notes ?? [])
      }
      try context.show(notes) {
        notes.notes.isEmpty ? "\(notes.run) has no notes" : RunText.notes(notes.notes, context.times())
      }
    }
  }

  private static func read(_ text: String) throws -> String {
    guard text == "-" else { return text }
    let data = try FileHandle.standardInput.readToEnd() ?? Data()
    guard let read = String(bytes: data, encoding: .utf8) else {
      throw CommandFailure(.badInput, "standard input is not UTF-8 text")
    }
    return read
  }
}
