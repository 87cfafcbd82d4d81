import Domain
import Foundation
import Store

/// A line of `BATON_METRICS` in which a rank tells what it has loaded of a checkpoint.
enum StateLine {
  private struct Line: Decodable {
    var state: String
    var step: Int64
    var rank: Int
    var ingredients: [String: String]
  }

  /// So many names of at most `nameLimit` bytes are read, each with a word of at most `wordLimit`.
  static let namesMost = 256
  static let nameLimit = 100
  static let wordLimit = 256

  /// What is told; nil for any other line, and for what the database would refuse.
  static func parse(_ text: String) -> LoadedState? {
    // Nearly every line is a point of a curve: those are not read twice.
    guard text.contains("\"ingredients\"") else { return nil }
    guard let line = try? JSONDecoder().decode(Line.self, from: Data(text.utf8)), line.state == "loaded",
      line.step >= 0, (0...1_000_000).contains(line.rank), isSound(line.ingredients)
    else { return nil }
    return LoadedState(rank: line.rank, step: line.step, ingredients: line.ingredients)
  }

  /// Whether names and words are as short, and as printable, as all that is told has to be.
  static func isSound(_ ingredients: [String: String]) -> Bool {
    func isPlain(_ text: String, _ limit: Int) -> Bool {
      text.utf8.count <= limit && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }
    return ingredients.count <= namesMost
      && ingredients.allSatisfy { !$0.key.isEmpty && isPlain($0.key, nameLimit) && isPlain($0.value, wordLimit) }
  }
}
