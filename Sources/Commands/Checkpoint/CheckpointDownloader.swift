import APIClient
import Domain
import Foundation
import ObjectStorage
import Wire

/// Brings the files of a checkpoint into a folder that is there only when all of it is, verified.
struct CheckpointDownloader: Sendable {
  private static let pieceSize = 1 << 20

  let client: BatonClient
  let console: Console

  /// Downloads `files` to `target`, which must not be there yet.
  ///
  /// What comes is kept beside it in a folder named after the content, so that the same call goes on where an earlier
  /// one stopped, and never with what belongs to another content.
  func run(_ files: CheckpointFiles, to target: String) async throws {
    guard !FileManager.default.fileExists(atPath: target) else {
      throw CommandFailure(.conflict, "\(target) is there already: name another folder")
    }
    let partial = "\(target).partial-\(files.manifestSHA256.prefix(12))"
    try Self.attempting("make \(partial)") {
      try FileManager.default.createDirectory(atPath: partial, withIntermediateDirectories: true)
    }
    let progress = ProgressPrinter("downloading", total: files.files.total, console)
    for entry in files.files.entries {
      let path = "\(partial)/\(entry.path)"
      try Self.attempting("make the folder of \(path)") {
        try FileManager.default.createDirectory(
          atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
      }
      try await fetch(entry, of: "\(files.checkpoint)", into: path, progress)
    }
    progress.end()
    try Self.attempting("rename \(partial) to \(target)") {
      try FileManager.default.moveItem(atPath: partial, toPath: target)
    }
  }

  /// Brings one file whole; one that turns out wrong is fetched once more from its beginning.
  private func fetch(
    _ entry: ManifestEntry, of checkpoint: String, into path: String, _ progress: ProgressPrinter
  ) async throws {
    if try await isComplete(entry, of: checkpoint, at: path, progress) { return }
    try Self.attempting("remove \(path)") { try FileManager.default.removeItem(atPath: path) }
    if try await isComplete(entry, of: checkpoint, at: path, progress) { return }
    throw CommandFailure(
      .foundTrouble,
      "\(entry.path) of \(checkpoint) is not what its manifest says: `baton checkpoint verify \(checkpoint)` tells more"
    )
  }

  /// Goes on with the file at `path` to its end, and says whether its hash is right then.
  private func isComplete(
    _ entry: ManifestEntry, of checkpoint: String, at path: String, _ progress: ProgressPrinter
  ) async throws -> Bool {
    guard var hash = ChecksumHash(like: entry.checksum) else { return false }
    var size = try Self.beginning(of: path) { hash.update(Array($0)) }
    progress.add(min(size, entry.size))
    guard size <= entry.size else { return false }
    let file = try Self.attempting("write \(path)") { try FileHandle(forWritingTo: URL(fileURLWithPath: path)) }
    defer { file.closeFile() }
    try Self.attempting("write \(path)") { _ = try file.seekToEnd() }
    if size < entry.size {
      for try await piece in try await client.data(of: checkpoint, path: entry.path, from: size) {
        hash.update(Array(piece))
        size += Int64(piece.count)
        guard size <= entry.size else { return false }
        try Self.attempting("write \(path)") { try file.write(contentsOf: piece) }
        progress.add(Int64(piece.count))
      }
    }
    guard size == entry.size else {
      throw CommandFailure(.unreachable, "\(entry.path) was cut at \(ByteCount(size)): the same command goes on there")
    }
    // What the rename publishes has to be on the disk before it.
    try Self.attempting("write \(path)") { try file.synchronize() }
    return hash.checksum == entry.checksum
  }

  /// Hands what an earlier call left at `path` to `receive`, and gives its length; makes the file where there is none.
  private static func beginning(of path: String, _ receive: (Data) -> Void) throws -> Int64 {
    guard FileManager.default.fileExists(atPath: path) else {
      guard FileManager.default.createFile(atPath: path, contents: nil) else {
        throw CommandFailure(.badInput, "cannot make \(path): see whether the folder may be written, and has room")
      }
      return 0
    }
    return try attempting("read \(path)") {
      let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
      defer { file.closeFile() }
      var size: Int64 = 0
      while let piece = try file.read(upToCount: pieceSize), !piece.isEmpty {
        receive(piece)
        size += Int64(piece.count)
      }
      return size
    }
  }

  /// Turns what the file system says into what a person can do something about.
  @discardableResult
  private static func attempting<Result>(_ action: String, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch {
      throw CommandFailure(.badInput, "cannot \(action): \(error.localizedDescription)")
    }
  }
}
