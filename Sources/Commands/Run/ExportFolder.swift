import Exporting
import Foundation

/// A folder that an export is written to: it appears under its name when all of it is there and on the disk.
struct ExportFolder {
  /// The mark of a folder that an export made, which `--force` may replace.
  static let mark = "baton-export.json"

  /// Its name to be, an absolute path.
  let target: String
  private let partial: String
  private let doesReplace: Bool

  /// Lends a folder to `body`, and gives it its name when that has returned; where it throws nothing is left, or
  /// `console` is told what is.
  ///
  /// Throws `CommandFailure` where `output` is there already, unless `force` is set and an export made it.
  static func with(
    _ output: String, force: Bool, _ console: Console, _ body: (ExportFolder) async throws -> Void
  ) async throws {
    let folder = try ExportFolder(output, force: force)
    do {
      try await body(folder)
      try folder.publish()
    } catch {
      folder.discard(console)
      throw error
    }
  }

  private init(_ output: String, force: Bool) throws {
    target = URL(fileURLWithPath: output).standardizedFileURL.path
    doesReplace = FileManager.default.fileExists(atPath: target)
    if doesReplace {
      guard force else {
        throw CommandFailure(.conflict, "\(target) is there already: name another folder, or replace it with --force")
      }
      guard FileManager.default.fileExists(atPath: "\(target)/\(Self.mark)") else {
        throw CommandFailure(
          .conflict, "\(target) was not made by an export (it has no \(Self.mark)): name another folder")
      }
    }
    partial = "\(target).partial-\(ProcessInfo.processInfo.processIdentifier)"
    let path = partial
    try Self.attempting("make \(path)") {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
  }

  /// Writes a file whole, and gives its length.
  @discardableResult
  func write(_ text: String, to path: String) throws -> Int64 {
    let file = try begin(path)
    try file.append(text.utf8)
    return try file.end()
  }

  /// Begins a file that is written piece by piece.
  func begin(_ path: String) throws -> ExportFile {
    let whole = "\(partial)/\(path)"
    try Self.attempting("make the folder of \(whole)") {
      try FileManager.default.createDirectory(
        atPath: (whole as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    }
    guard FileManager.default.createFile(atPath: whole, contents: nil) else {
      throw CommandFailure(.badInput, "cannot make \(whole): see whether the folder may be written, and has room")
    }
    let file = try Self.attempting("write \(whole)") { try FileHandle(forWritingTo: URL(fileURLWithPath: whole)) }
    return ExportFile(whole, file)
  }

  private func discard(_ console: Console) {
    do { try FileManager.default.removeItem(atPath: partial) } catch {
      console.note("left over: \(partial) (\(error.localizedDescription))")
    }
  }

  private func publish() throws {
    let files = FileManager.default
    try Self.attempting("rename \(partial) to \(target)") {
      guard doesReplace else { return try files.moveItem(atPath: partial, toPath: target) }
      let old = "\(partial)-old"
      try files.moveItem(atPath: target, toPath: old)
      try files.moveItem(atPath: partial, toPath: target)
      try files.removeItem(atPath: old)
    }
  }

  static func attempting<T>(_ what: String, _ body: () throws -> T) throws -> T {
    do { return try body() } catch let failure as CommandFailure { throw failure } catch {
      throw CommandFailure(.badInput, "cannot \(what): \(error.localizedDescription)")
    }
  }
}

/// A file of an export, written from its beginning to its end.
final class ExportFile {
  private static let pieceSize = 1 << 20

  private let path: String
  private let file: FileHandle
  private var waiting: [UInt8] = []
  private var length: Int64 = 0

  init(_ path: String, _ file: FileHandle) {
    self.path = path
    self.file = file
  }

  /// Writes bytes behind those before.
  func append(_ bytes: some Sequence<UInt8>) throws {
    waiting += bytes
    if waiting.count >= Self.pieceSize { try flush() }
  }

  /// Brings all of it to the disk, and gives its length.
  func end() throws -> Int64 {
    try flush()
    try ExportFolder.attempting("write \(path)") {
      try file.synchronize()
      try file.close()
    }
    return length
  }

  private func flush() throws {
    try ExportFolder.attempting("write \(path)") { try file.write(contentsOf: waiting) }
    length += Int64(waiting.count)
    waiting.removeAll(keepingCapacity: true)
  }
}
