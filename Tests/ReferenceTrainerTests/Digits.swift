import Foundation

@testable import ReferenceTrainer

/// Small made-up images: a bright quarter per class, with noise.
enum Digits {
  static let side = 8

  /// Pixels and label of each image.
  static func images(_ count: Int) -> [(pixels: [UInt8], label: UInt8)] {
    var generator = SplitMix64(seed: 77)
    return (0..<count).map { index in
      let label = index % 4
      let pixels = (0..<side * side).map { pixel in
        let isBright = (pixel / side) / 4 == label / 2 && (pixel % side) / 4 == label % 2
        return UInt8(generator.next(below: 120) + (isBright ? 100 : 0))
      }
      return (pixels, UInt8(label))
    }
  }

  static func dataset(images count: Int) throws -> Dataset {
    let all = images(count)
    return try Dataset(side: side, pixels: all.flatMap(\.pixels), labels: all.map(\.label))
  }

  /// The images as lines of CSV.
  static func lines(images count: Int) -> [String] {
    images(count).map { image in (image.pixels + [image.label]).map(String.init).joined(separator: ",") }
  }

  /// What loading a folder fails with.
  static func failure(_ folder: String) -> TrainerError? {
    do {
      _ = try Dataset.load(folder: folder)
      return nil
    } catch {
      return error
    }
  }
}

/// Folders that are gone after the test.
enum Scratch {
  /// Lends an empty folder.
  static func with(_ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + "/baton-train-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let result = Result { try body(folder) }
    try FileManager.default.removeItem(atPath: folder)
    return try result.get()
  }

  /// Writes a file, making its folder.
  static func write(_ text: String, to path: String) throws {
    let url = URL(fileURLWithPath: path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: url)
  }
}
