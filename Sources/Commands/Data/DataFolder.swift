import Crypto
import Domain
import Foundation
import Glibc

/// One file of a folder that is to become a data set.
struct DataFile: Sendable, Hashable, Comparable {
  /// Path inside the data set.
  var path: String
  /// Where it is on this machine.
  var location: String
  var size: Int64

  static func < (left: Self, right: Self) -> Bool { left.path.utf8.lexicographicallyPrecedes(right.path.utf8) }
}

/// Walks a folder on this machine, and hashes what is in it.
enum DataFolder {
  /// All files below `path`, or `path` itself where it is one, sorted as a manifest is.
  ///
  /// - Throws: for nothing found, and for whatever a data set cannot hold: symbolic links (what they point to may
  ///   be gone, or elsewhere, on a node), sockets and devices, names that are no UTF-8 or hold control characters.
  static func files(at path: String) throws(CommandFailure) -> [DataFile] {
    let root = try status(of: path)
    switch root.st_mode & S_IFMT {
    case S_IFREG:
      let name = path.split(separator: "/").last.map(String.init) ?? path
      try checkName(name, path)
      return [DataFile(path: name, location: path, size: Int64(root.st_size))]
    case S_IFDIR:
      var found: [DataFile] = []
      try walk(path, prefix: "", into: &found)
      guard !found.isEmpty else {
        throw CommandFailure(.badInput, "there is no file in \(path): a data set has at least one")
      }
      return found.sorted()
    default:
      throw CommandFailure(.badInput, "\(path) is neither a file nor a folder: name one of these")
    }
  }

  private static func walk(
    _ folder: String, prefix: String, into found: inout [DataFile]
  ) throws(CommandFailure) {
    guard let handle = opendir(folder) else { throw unreadable(folder) }
    defer { closedir(handle) }
    while let entry = readdir(handle) {
      let bytes = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      guard let name = String(validating: bytes, as: UTF8.self) else {
        throw CommandFailure(.badInput, "\(folder) holds a name that is not UTF-8: rename it")
      }
      if name == "." || name == ".." { continue }
      let location = "\(folder)/\(name)"
      try checkName(name, location)
      let inside = try Self.status(of: location)
      switch inside.st_mode & S_IFMT {
      case S_IFREG:
        found.append(DataFile(path: prefix + name, location: location, size: Int64(inside.st_size)))
      case S_IFDIR:
        try walk(location, prefix: prefix + name + "/", into: &found)
      case S_IFLNK:
        throw CommandFailure(
          .badInput,
          "\(location) is a symbolic link, and a data set holds none: put the file itself there, "
            + "as `cp -rL` does")
      default:
        throw CommandFailure(.badInput, "\(location) is a socket, a pipe or a device: take it out of the folder")
      }
    }
  }

  private static func status(of path: String) throws(CommandFailure) -> stat {
    var status = stat()
    guard lstat(path, &status) == 0 else { throw unreadable(path) }
    return status
  }

  private static func unreadable(_ path: String) -> CommandFailure {
    CommandFailure(.badInput, "cannot read \(path) (\(String(cString: strerror(errno)))): check the path and its mode")
  }

  private static func checkName(_ name: String, _ location: String) throws(CommandFailure) {
    guard Printable.line(name) == name else {
      throw CommandFailure(
        .badInput, "the name of \(Printable.line(location)) holds control characters: rename it")
    }
  }

  /// The SHA-256 of a file's content, in hexadecimal, read away from the cooperative threads.
  ///
  /// - Parameter progress: called with the number of bytes that were read since the last call.
  static func hash(_ file: DataFile, progress: @escaping @Sendable (Int64) -> Void) async throws -> String {
    try await withCheckedThrowingContinuation { continuation in
      DispatchQueue.global().async {
        continuation.resume(with: Result { try hashNow(file, progress) })
      }
    }
  }

  private static func hashNow(_ file: DataFile, _ progress: (Int64) -> Void) throws(CommandFailure) -> String {
    let descriptor = open(file.location, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { throw unreadable(file.location) }
    defer { close(descriptor) }
    var hash = SHA256()
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    var total: Int64 = 0
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw unreadable(file.location) }
      if count == 0 { break }
      buffer.withUnsafeBytes { hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
      total += Int64(count)
      progress(Int64(count))
    }
    guard total == file.size else {
      throw CommandFailure(.tryLater, "\(file.location) changed while it was read: wait until nothing writes to it")
    }
    return hash.finalize().hexadecimal
  }
}
