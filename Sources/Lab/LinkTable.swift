import Glibc

/// The file that says how each link of a lab is.
///
/// Eight bytes a node, so that whoever writes one node's touches no other's; the process of the links reads it before
/// each packet, so that what is written counts at once. A link that the file says nothing of works.
struct LinkTable: Sendable {
  let path: String

  private static let entrySize = 8

  /// How the link of node `number`, counted from 1, is from now on.
  func set(_ link: LinkImpairment, node number: Int) throws(LabError) {
    let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw Files.failure("open", path) }
    defer { close(file) }
    var entry = [link.lossPermille, link.delayMicroseconds]
    guard pwrite(file, &entry, Self.entrySize, off_t((number - 1) * Self.entrySize)) == Self.entrySize else {
      throw Files.failure("write", path)
    }
  }

  /// How the link of node `number` is.
  func link(ofNode number: Int) throws(LabError) -> LinkImpairment {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    if file < 0, errno == ENOENT { return .none }
    guard file >= 0 else { throw Files.failure("open", path) }
    defer { close(file) }
    return Self.read(file, nodes: number)[number - 1]
  }

  /// How the links of the first `nodes` nodes are, from the open file.
  static func read(_ file: Int32, nodes: Int) -> [LinkImpairment] {
    var numbers = [UInt32](repeating: 0, count: nodes * 2)
    pread(file, &numbers, nodes * entrySize, 0)
    return (0..<nodes).map { LinkImpairment(lossPermille: numbers[$0 * 2], delayMicroseconds: numbers[$0 * 2 + 1]) }
  }
}
