import Domain
import Foundation

/// What is kept of a study beside its job file, so that one that was interrupted goes on.
///
/// Written before anything is submitted: the key in it makes a second submission the same one.
struct StudyRecord: Codable, Hashable, Sendable {
  /// What was asked.
  var question: StudyQuestion
  /// The job file as it was submitted.
  var file: String
  /// The submission's key.
  var key: String
  /// The group, once it is known.
  var group: JobGroupID?
  /// What came out, once all runs are over.
  var result: StudyResult?

  /// Reads the record at `path`; nil where there is none.
  static func load(_ path: String) throws -> StudyRecord? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    do {
      return try JSONDecoder().decode(StudyRecord.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    } catch {
      throw CommandFailure(.badInput, "\(path) is no record of a study: move it away, or name another with --record")
    }
  }

  /// Writes the record, whole or not at all.
  func save(_ path: String) throws {
    do {
      try Data((try JSONText.pretty(self) + "\n").utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw CommandFailure(.badInput, "cannot write the study's record \(path): \(error.localizedDescription)")
    }
  }
}

/// The job file that makes all runs of a study.
enum StudyFile {
  /// `text` with the matrix of `question`: repeats first, so that whatever drifts while the study runs meets all values
  /// alike, and at most `atOnce` runs at a time.
  ///
  /// Throws where the file has a matrix already, does not use the value that is varied, or cannot be edited.
  static func make(_ text: String, name: String, _ question: StudyQuestion, atOnce: Int) throws -> String {
    let axis = question.kind.axis
    let lines = text.split(separator: "\n")
    if lines.contains(where: { $0.hasPrefix("matrix:") || $0.hasPrefix("array:") }) {
      throw CommandFailure(.badInput, "\(name) has a matrix or an array already: a study makes its own, leave it out")
    }
    guard text.contains("matrix.\(axis)") else {
      throw CommandFailure(
        .badInput, "\(name) does not say where the \(question.kind.rawValue) study's value goes: \(hint(axis))")
    }
    let repeats = (1...question.repeats).map(String.init).joined(separator: ", ")
    let values = question.values.map(String.init).joined(separator: ", ")
    guard
      let edited = JobFileOverride.set("matrix", to: "{repeat: [\(repeats)], \(axis): [\(values)]}", in: text)
        .flatMap({ JobFileOverride.set("at_most", to: "\(atOnce)", in: $0) })
    else {
      throw CommandFailure(
        .badInput, "\(name): a matrix cannot be put into this file, since it is no block mapping of YAML")
    }
    return edited
  }

  private static func hint(_ axis: String) -> String {
    axis == "nodes"
      ? "write `nodes: ${{ matrix.nodes }}` below `resources:`"
      : "write \"${{ matrix.batch }}\" where `run` has the batch size"
  }
}
