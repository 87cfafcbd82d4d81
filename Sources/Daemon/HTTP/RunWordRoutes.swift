import Domain
import Hummingbird
import Store
import Wire

/// What people say about runs, over HTTP.
enum RunWordRoutes {
  private static let wordsMost = 64
  private static let noteBytesMost = 64 << 10

  static let all: [Route] = [
    Route(
      method: .post, path: "/runs/{run}/tags", access: .user,
      summary: "Add words that a run is found by, or take them away",
      takes: TagRequest.self, gives: RunTags.self
    ) { call in
      let run = try await RunRoutes.find(call, "run")
      let request: TagRequest = try await call.body()
      for word in request.add + request.remove { try check(word) }
      guard request.add.count <= wordsMost else {
        throw APIFailure(.badRequest, "\(request.add.count) words at once: at most \(wordsMost)")
      }
      let tags = try await call.services.store.tagRun(
        run, add: request.add, remove: request.remove, by: call.principal.actor)
      return try .json(RunTags(run: run, tags: tags))
    },
    Route(
      method: .post, path: "/runs/{run}/notes", access: .user,
      summary: "Write a note about a run, which stays as it is",
      takes: NoteRequest.self, gives: RunNotes.self
    ) { call in
      let run = try await RunRoutes.find(call, "run")
      let request: NoteRequest = try await call.body(limit: 1 << 20)
      guard request.text.contains(where: { !$0.isWhitespace }) else {
        throw APIFailure(.badRequest, "the note is empty")
      }
      guard request.text.utf8.count <= noteBytesMost, !request.text.utf8.contains(0) else {
        throw APIFailure(.badRequest, "a note is text of at most \(ByteCount(Int64(noteBytesMost)))")
      }
      try await call.services.store.addNote(request.text, to: run, by: call.principal.actor)
      let notes = try await call.services.store.notes(of: run.job)
      return try .json(RunNotes(run: run, notes: notes.map(RunNoteView.init)), status: .created)
    },
  ]

  /// What a word is: as in a job file's `tags`, on one line, and no control character in it.
  static func check(_ word: String) throws {
    let isPlain = word.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control && $0 != "\u{2028}" }
    guard (1...128).contains(word.unicodeScalars.count), isPlain, word.first != " ", word.last != " " else {
      throw APIFailure(.badRequest, "'\(word.prefix(40))' is no word for a run: 1 to 128 characters on one line")
    }
  }
}
