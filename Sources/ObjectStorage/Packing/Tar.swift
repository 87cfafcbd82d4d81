/// The tar format, as far as shards need it: plain files, USTAR headers, PAX records for what does not fit in them.
///
/// POSIX.1-2017, `pax`, "ustar Interchange Format" and "pax Extended Header". The same members always make the same
/// bytes: no owner, no time, mode 644, or 755 for what is a program.
public enum Tar {
  /// All is in blocks of this size.
  public static let blockSize = 512

  /// What stands before a member's content: its header, with a PAX header before it where its path or size needs one.
  public static func header(path: String, size: Int64, isExecutable: Bool = false) -> [UInt8] {
    header(path: path, size: size, mode: isExecutable ? 0o755 : 0o644, link: nil)
  }

  /// The header of a symbolic link, which has no content.
  public static func header(link path: String, target: String) -> [UInt8] {
    header(path: path, size: 0, mode: 0o777, link: target)
  }

  private static func header(path: String, size: Int64, mode: Int64, link: String?) -> [UInt8] {
    let name = Array(path.utf8)
    var records: [UInt8] = []
    var shownName = name
    var prefix: [UInt8] = []
    if name.count > 100 {
      if let split = splitPoint(of: name) {
        prefix = Array(name[..<split])
        shownName = Array(name[(split + 1)...])
      } else {
        records += record("path", name)
        shownName = Array(name.suffix(100))
      }
    }
    if size >= octalLimit { records += record("size", Array(String(size).utf8)) }
    let target = Array((link ?? "").utf8)
    if target.count > 100 { records += record("linkpath", target) }
    var bytes: [UInt8] = []
    if !records.isEmpty {
      bytes += block(
        name: Array("PaxHeaders/member".utf8), prefix: [], size: Int64(records.count), type: "x", mode: 0o644)
      bytes += records + padding(after: Int64(records.count))
    }
    bytes += block(
      name: shownName, prefix: prefix, size: size < octalLimit ? size : 0, type: link == nil ? "0" : "2", mode: mode,
      target: Array(target.prefix(100)))
    return bytes
  }

  /// What stands after a content of `size` bytes.
  public static func padding(after size: Int64) -> [UInt8] {
    let over = Int(size % Int64(blockSize))
    return [UInt8](repeating: 0, count: over == 0 ? 0 : blockSize - over)
  }

  /// What ends a tar.
  public static let end = [UInt8](repeating: 0, count: 2 * blockSize)

  /// 11 octal digits hold less than this.
  private static let octalLimit: Int64 = 1 << 33

  /// The last `/` that leaves at most 155 bytes before it and 1 to 100 after it.
  private static func splitPoint(of name: [UInt8]) -> Int? {
    name.indices.last { index in
      name[index] == UInt8(ascii: "/") && index > 0 && index <= 155 && (1...100).contains(name.count - index - 1)
    }
  }

  /// `LENGTH KEY=VALUE\n`, where the length counts itself.
  private static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
    let rest = Array(" \(key)=".utf8) + value + [UInt8(ascii: "\n")]
    var length = rest.count
    while String(length).utf8.count + rest.count != length { length = String(length).utf8.count + rest.count }
    return Array(String(length).utf8) + rest
  }

  private static func block(
    name: [UInt8], prefix: [UInt8], size: Int64, type: Unicode.Scalar, mode: Int64, target: [UInt8] = []
  ) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: blockSize)
    func put(_ field: [UInt8], at offset: Int) { bytes.replaceSubrange(offset..<offset + field.count, with: field) }
    func octal(_ value: Int64, _ digits: Int) -> [UInt8] {
      let text = Array(String(value, radix: 8).utf8)
      return [UInt8](repeating: UInt8(ascii: "0"), count: max(0, digits - text.count)) + text
    }
    put(name, at: 0)
    put(octal(mode, 7), at: 100)
    put(octal(0, 7), at: 108)
    put(octal(0, 7), at: 116)
    put(octal(size, 11), at: 124)
    put(octal(0, 11), at: 136)
    put([UInt8](repeating: UInt8(ascii: " "), count: 8), at: 148)
    put([UInt8(type.value)], at: 156)
    put(target, at: 157)
    put(Array("ustar".utf8) + [0] + Array("00".utf8), at: 257)
    put(octal(0, 7), at: 329)
    put(octal(0, 7), at: 337)
    put(prefix, at: 345)
    put(octal(bytes.reduce(0) { $0 + Int64($1) }, 6) + [0, UInt8(ascii: " ")], at: 148)
    return bytes
  }
}

/// Finds the plain files of a tar whose headers are handed to it: a value that says which bytes it wants next.
///
/// Reads what GNU and BSD `tar` and Python write: USTAR, PAX, GNU long names; folders are passed over, links and devices
/// refused; links are members where they are asked for.
public struct TarReader: Sendable {
  /// A plain file of a tar.
  public struct Member: Hashable, Sendable {
    /// Its path, without `./` before it.
    public var path: String
    /// Length in bytes.
    public var size: Int64
    /// Where in the tar its content begins.
    public var offset: Int64
    /// Whether its owner may execute it.
    public var isExecutable = false
    /// What it points to, where it is a symbolic link.
    public var target: String?
  }

  /// What is next.
  public enum Step: Hashable, Sendable {
    /// Hand over exactly these bytes of the tar.
    case read(Range<Int64>)
    /// A member; go on with `next` after taking note of it.
    case member(Member)
    /// The tar is over.
    case end
  }

  /// Why bytes are no tar that Baton reads.
  public struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
    /// Where in the tar.
    public var offset: Int64
    /// What is wrong.
    public var reason: String
    /// `tar, at byte 512: the header's checksum is wrong`.
    public var description: String { "tar, at byte \(offset): \(reason)" }
  }

  private enum Expectation { case header, extended(UInt8) }

  private static let extendedLimit: Int64 = 1 << 20
  private var offset: Int64 = 0
  private var expects = Expectation.header
  private var length: Int64
  private var wanted = Int64(Tar.blockSize)
  private var found: [Member] = []
  private var nextPath: String?
  private var nextSize: Int64?
  private var nextTarget: String?
  private var isOver = false
  private let takesLinks: Bool

  /// Reads a tar of `length` bytes; symbolic links are refused unless it `takesLinks`.
  public init(length: Int64, takesLinks: Bool = false) {
    self.length = length
    self.takesLinks = takesLinks
  }

  /// What is next.
  public mutating func next() throws(Fault) -> Step {
    if let member = found.popLast() { return .member(member) }
    if isOver || offset == length { return .end }
    guard offset + wanted <= length else { throw fault("it ends in the middle") }
    return .read(offset..<offset + wanted)
  }

  /// Takes in the bytes that `next` asked for.
  public mutating func take(_ bytes: [UInt8]) throws(Fault) {
    guard Int64(bytes.count) == wanted else { throw fault("\(bytes.count) bytes came where \(wanted) were asked for") }
    switch expects {
    case .extended(let type):
      offset += wanted + Int64(Tar.padding(after: wanted).count)
      expects = .header
      wanted = Int64(Tar.blockSize)
      if type == UInt8(ascii: "L") { nextPath = Self.text(bytes[...]) } else { try takeRecords(bytes) }
    case .header:
      try takeHeader(bytes)
    }
  }

  private func fault(_ reason: String) -> Fault { Fault(offset: offset, reason: reason) }

  private mutating func takeHeader(_ bytes: [UInt8]) throws(Fault) {
    if bytes.allSatisfy({ $0 == 0 }) {
      isOver = true
      return
    }
    var sum: Int64 = 0
    for (index, byte) in bytes.enumerated() { sum += (148..<156).contains(index) ? 32 : Int64(byte) }
    guard Self.number(bytes[148..<156]) == sum else { throw fault("the header's checksum is wrong") }
    guard let stated = Self.number(bytes[124..<136]) else { throw fault("the header's size is no number") }
    let content = offset + Int64(Tar.blockSize)
    switch bytes[156] {
    case UInt8(ascii: "x"), UInt8(ascii: "L"):
      guard (1...Self.extendedLimit).contains(stated) else { throw fault("an extended header of \(stated) bytes") }
      offset = content
      expects = .extended(bytes[156])
      wanted = stated
    case UInt8(ascii: "g"):
      try pass(stated, from: content)
    case 0, UInt8(ascii: "0"), UInt8(ascii: "7"):
      let size = nextSize ?? stated
      let path = nextPath ?? Self.path(bytes)
      try pass(size, from: content)
      let mode = Self.number(bytes[100..<108]) ?? 0
      found.append(Member(path: Self.plain(path), size: size, offset: content, isExecutable: mode & 0o100 != 0))
      forget()
    case UInt8(ascii: "2") where takesLinks:
      let path = nextPath ?? Self.path(bytes)
      try pass(0, from: content)
      let target = nextTarget ?? Self.text(bytes[157..<257])
      found.append(Member(path: Self.plain(path), size: 0, offset: content, target: target))
      forget()
    case UInt8(ascii: "5"):
      try pass(0, from: content)
      forget()
    case let type:
      throw fault("a member of type '\(Unicode.Scalar(type))': only plain files and folders are read")
    }
  }

  private mutating func forget() {
    nextPath = nil
    nextSize = nil
    nextTarget = nil
  }

  private mutating func pass(_ size: Int64, from content: Int64) throws(Fault) {
    guard size >= 0, size <= length - content else { throw fault("a member that is longer than the tar") }
    offset = content + size + Int64(Tar.padding(after: size).count)
    // Some writers leave the last padding out.
    offset = min(offset, length)
  }

  private mutating func takeRecords(_ bytes: [UInt8]) throws(Fault) {
    var rest = bytes[...]
    while let first = rest.first, first != 0 {
      guard let space = rest.firstIndex(of: UInt8(ascii: " ")),
        let length = Int(String(decoding: rest[..<space], as: UTF8.self)), length > space - rest.startIndex + 1,
        length <= rest.count
      else { throw fault("an extended header that is none") }
      let record = rest[(space + 1)..<(rest.startIndex + length - 1)]
      rest = rest[(rest.startIndex + length)...]
      guard let equals = record.firstIndex(of: UInt8(ascii: "=")) else { throw fault("an extended header without '='") }
      let value = String(decoding: record[(equals + 1)...], as: UTF8.self)
      switch String(decoding: record[..<equals], as: UTF8.self) {
      case "path": nextPath = value
      case "linkpath": nextTarget = value
      case "size":
        guard let size = Int64(value) else { throw fault("a size that is no number") }
        nextSize = size
      default: continue
      }
    }
  }

  private static func plain(_ path: String) -> String { path.hasPrefix("./") ? String(path.dropFirst(2)) : path }

  private static func text(_ field: ArraySlice<UInt8>) -> String {
    String(decoding: field.prefix { $0 != 0 }, as: UTF8.self)
  }

  private static func path(_ header: [UInt8]) -> String {
    let name = text(header[0..<100])
    // Only POSIX headers have a prefix; GNU's have other things there.
    guard header[257..<263].elementsEqual(Array("ustar".utf8) + [0]) else { return name }
    let prefix = text(header[345..<500])
    return prefix.isEmpty ? name : "\(prefix)/\(name)"
  }

  /// Octal digits between spaces and NULs, or GNU's binary numbers.
  private static func number(_ field: ArraySlice<UInt8>) -> Int64? {
    if let first = field.first, first == 0x80 {
      var value: Int64 = 0
      for byte in field.dropFirst() {
        guard value < 1 << 54 else { return nil }
        value = value << 8 | Int64(byte)
      }
      return value
    }
    let digits = field.drop { $0 == UInt8(ascii: " ") || $0 == 0 }.prefix { $0 != UInt8(ascii: " ") && $0 != 0 }
    return Int64(String(decoding: digits, as: UTF8.self), radix: 8)
  }
}
