import Foundation
import Glibc

/// The few file operations of the lab, each failing with the path and the reason.
enum Files {
  static func failure(_ doing: String, _ path: String, _ number: Int32 = errno) -> LabError {
    LabError(.systemCall, "cannot \(doing) \(path) (\(String(cString: strerror(number))))")
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 }

  /// Creates a folder and those above it; one that exists keeps its mode.
  static func makeFolder(_ path: String, mode: mode_t = 0o755) throws(LabError) {
    if exists(path) { return }
    if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
      try makeFolder(String(path[..<slash]))
    }
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw failure("create the folder", path) }
  }

  /// The bytes of a file; nil when there is none or it may not be read (also files of /proc, whose size reads 0).
  static func bytes(_ path: String) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = read(file, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return nil }
      if count == 0 { return all }
      all += chunk[..<count]
    }
  }

  /// The text of a file; nil when there is none.
  static func text(_ path: String) -> String? {
    bytes(path).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Writes a file so that a reader, or a crash, sees the old content or the new and nothing between.
  static func write(_ text: String, to path: String, mode: mode_t = 0o644) throws(LabError) {
    let temporary = "\(path).\(getpid())-\(UInt32.random(in: 0...UInt32.max)).tmp"
    let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard file >= 0 else { throw failure("create", temporary) }
    var rest = Array(text.utf8)[...]
    var problem: Int32 = 0
    while !rest.isEmpty, problem == 0 {
      let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0 { problem = errno == EINTR ? 0 : errno } else { rest = rest.dropFirst(count) }
    }
    if problem == 0, fchmod(file, mode) != 0 || fsync(file) != 0 { problem = errno }
    close(file)
    if problem == 0, rename(temporary, path) != 0 { problem = errno }
    guard problem == 0 else {
      unlink(temporary)
      throw failure("write", path, problem)
    }
  }

  /// Writes to a file of the kernel, which takes what it is told at once or refuses it.
  static func tell(_ text: String, to path: String) throws(LabError) {
    let file = open(path, O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { throw failure("open", path) }
    defer { close(file) }
    guard Array(text.utf8).withUnsafeBytes({ Glibc.write(file, $0.baseAddress, $0.count) }) == text.utf8.count else {
      throw failure("write '\(text)' to", path)
    }
  }

  /// Removes a file or a whole folder; nothing there is success.
  static func remove(_ path: String) throws(LabError) {
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      var status = stat()
      if lstat(path, &status) != 0, errno == ENOENT { return }
      throw LabError(.systemCall, "cannot remove \(path) (\(error))")
    }
  }

  /// What is in a folder; nothing when there is no folder.
  static func names(in path: String) throws(LabError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: path)
    } catch {
      if !exists(path) { return [] }
      throw LabError(.systemCall, "cannot list \(path) (\(error))")
    }
  }

  /// Removes what is in a folder and keeps the folder, which may be a mount point.
  static func removeAll(in path: String, except kept: Set<String> = []) throws(LabError) {
    for name in try names(in: path) where !kept.contains(name) { try remove("\(path)/\(name)") }
  }
}
