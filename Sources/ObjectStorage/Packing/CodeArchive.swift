import Glibc

/// A work tree as one tar: the same files make the same bytes.
public enum CodeArchive {
  /// A file of a work tree.
  public struct File: Hashable, Sendable {
    /// What it is.
    public enum Content: Hashable, Sendable {
      /// Bytes.
      case bytes([UInt8], isExecutable: Bool)
      /// A symbolic link.
      case link(target: String)
    }

    /// Its path from the root: no `..`, nothing absolute.
    public var path: String
    /// What is in it.
    public var content: Content

    /// A file.
    public init(path: String, content: Content) {
      self.path = path
      self.content = content
    }
  }

  /// Why a tar is none of code.
  public struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public var description: String
  }

  /// The tar of `files`, which it sorts by path.
  public static func pack(_ files: [File]) -> [UInt8] {
    var tar: [UInt8] = []
    for file in files.sorted(by: { $0.path < $1.path }) {
      switch file.content {
      case .bytes(let bytes, let isExecutable):
        tar += Tar.header(path: file.path, size: Int64(bytes.count), isExecutable: isExecutable)
        tar += bytes
        tar += Tar.padding(after: Int64(bytes.count))
      case .link(let target):
        tar += Tar.header(link: file.path, target: target)
      }
    }
    return tar + Tar.end
  }

  /// SHA-256 of `tar`: the hash that names the code.
  public static func sha256(of tar: [UInt8]) -> String { ContentHash.of(tar) }

  /// The files of `tar`; throws where it is no tar, or a path of it leads out of the folder that it is unpacked into.
  public static func files(of tar: [UInt8]) throws(Fault) -> [File] {
    var reader = TarReader(length: Int64(tar.count), takesLinks: true)
    var files: [File] = []
    do {
      while true {
        switch try reader.next() {
        case .end: return files
        case .read(let range): try reader.take(Array(tar[Int(range.lowerBound)..<Int(range.upperBound)]))
        case .member(let member):
          guard isInside(member.path) else { throw Fault(description: "'\(member.path)' leads out of the folder") }
          let end = Int(member.offset + member.size)
          files.append(
            File(
              path: member.path,
              content: member.target.map { .link(target: $0) }
                ?? .bytes(Array(tar[Int(member.offset)..<end]), isExecutable: member.isExecutable)))
        }
      }
    } catch let fault as TarReader.Fault {
      throw Fault(description: "\(fault)")
    } catch let fault as Fault {
      throw fault
    } catch {
      throw Fault(description: "\(error)")
    }
  }

  /// Whether a path stays below the folder that it is taken from.
  public static func isInside(_ path: String) -> Bool {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    return !path.isEmpty && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." } && !path.utf8.contains(0)
  }

  /// Writes `files` below `folder`, as `write` does, for a person; throws with a sentence.
  public static func unpack(_ files: [File], to folder: String) throws(Fault) {
    do {
      try write(files, to: folder)
    } catch {
      throw Fault(description: "\(error)")
    }
  }

  /// Writes `files` below `folder`, which it makes, links last, so that no file is written through one.
  ///
  /// Throws `SystemError`; what was written by then stays.
  package static func write(_ files: [File], to folder: String) throws {
    try Disk.makeFolders(folder)
    for file in files {
      guard case .bytes(let bytes, let isExecutable) = file.content else { continue }
      let path = "\(folder)/\(file.path)"
      try Disk.makeFolders(Disk.parent(of: path))
      let mode: mode_t = isExecutable ? 0o755 : 0o644
      let descriptor = try Disk.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
      try Disk.write(bytes, to: descriptor, path: path)
    }
    for file in files {
      guard case .link(let target) = file.content else { continue }
      let path = "\(folder)/\(file.path)"
      try Disk.makeFolders(Disk.parent(of: path))
      if symlink(target, path) != 0 { throw SystemError("cannot link", path, errno: errno) }
    }
  }
}
