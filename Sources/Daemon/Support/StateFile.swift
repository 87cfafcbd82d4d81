import Domain
import Foundation
import Synchronization

/// `baton-state.json` of a checkpoint: what ranks told of their state when they saved.
enum StateFile {
  /// What it says; nil for what is no such file, since a program's slip must not spoil the proof.
  static func parse(_ bytes: [UInt8]) -> IngredientReport? {
    guard let report = try? JSONDecoder().decode(IngredientReport.self, from: Data(bytes)),
      report.ranks.values.allSatisfy(StateLine.isSound)
    else { return nil }
    return report
  }
}

/// The bytes of a small file, piece by piece.
final class FileBytes: Sendable {
  private let pieces = Mutex<[UInt8]>([])

  /// All that came.
  var all: [UInt8] { pieces.withLock { $0 } }

  /// What comes next.
  func add(_ piece: [UInt8]) { pieces.withLock { $0 += piece } }
}
