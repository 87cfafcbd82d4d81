/// An element of the small documents that S3 answers with.
///
/// Reads what S3 writes and refuses the rest: elements, text, the five entities and character references. Attributes are
/// skipped; document types, which can make a short text long, are refused, and so is anything deeper than 16 levels.
struct XMLElement: Hashable, Sendable {
  /// Without the namespace's prefix.
  var name: String
  /// Elements inside, in order.
  var children: [XMLElement] = []
  /// Text inside, without that of the elements inside.
  var text = ""

  /// The text of the first child of that name.
  func text(_ name: String) -> String? { children.first { $0.name == name }?.text }

  /// All children of that name.
  func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }

  /// Why a text is no such document.
  struct Fault: Error, Hashable {
    var reason: String
  }

  /// Reads a document.
  static func parse(_ bytes: [UInt8]) throws(Fault) -> XMLElement {
    var reader = XMLReader(bytes)
    return try reader.document()
  }
}

private struct XMLReader {
  private let bytes: [UInt8]
  private var at = 0
  private static let deepest = 16

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws(XMLElement.Fault) -> XMLElement {
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) { at = 3 }
    try skipMisc()
    guard skip("<") else { throw fault("no element") }
    let root = try element(depth: 1)
    try skipMisc()
    guard at == bytes.count else { throw fault("something follows the document") }
    return root
  }

  /// Blanks, processing instructions and comments.
  private mutating func skipMisc() throws(XMLElement.Fault) {
    while at < bytes.count {
      if isBlank(bytes[at]) {
        at += 1
      } else if skip("<?") {
        try skipPast("?>")
      } else if skip("<!--") {
        try skipPast("-->")
      } else {
        return
      }
    }
  }

  /// An element whose `<` was read.
  private mutating func element(depth: Int) throws(XMLElement.Fault) -> XMLElement {
    guard depth <= Self.deepest else { throw fault("elements are nested too deep") }
    let name = try name()
    var element = XMLElement(name: name)
    if try skipAttributes() { return element }
    var text: [UInt8] = []
    while true {
      guard at < bytes.count else { throw fault("<\(name)> has no end") }
      if skip("</") {
        guard try self.name() == name else { throw fault("<\(name)> ends as another element") }
        skipBlanks()
        guard skip(">") else { throw fault("the end of <\(name)> is cut") }
        guard let decoded = String(validating: text, as: UTF8.self) else { throw fault("<\(name)> is no UTF-8") }
        element.text = decoded
        return element
      } else if skip("<!--") {
        try skipPast("-->")
      } else if skip("<![CDATA[") {
        let start = at
        try skipPast("]]>")
        text += bytes[start..<(at - 3)]
      } else if skip("<") {
        element.children.append(try self.element(depth: depth + 1))
      } else if skip("&") {
        text += try entity()
      } else {
        text.append(bytes[at])
        at += 1
      }
    }
  }

  /// Returns whether the element ends with its tag.
  private mutating func skipAttributes() throws(XMLElement.Fault) -> Bool {
    while true {
      skipBlanks()
      if skip("/>") { return true }
      if skip(">") { return false }
      _ = try name()
      skipBlanks()
      guard skip("="), at < bytes.count else { throw fault("an attribute without a value") }
      skipBlanks()
      if skip("\"") {
        try skipPast("\"")
      } else if skip("'") {
        try skipPast("'")
      } else {
        throw fault("an attribute without quotes")
      }
    }
  }

  private mutating func name() throws(XMLElement.Fault) -> String {
    let start = at
    while at < bytes.count, !isBlank(bytes[at]), !"<>/=&\"'!?".utf8.contains(bytes[at]) { at += 1 }
    guard at > start else { throw fault("a name is missing") }
    let whole = String(decoding: bytes[start..<at], as: UTF8.self)
    return whole.split(separator: ":").last.map(String.init) ?? whole
  }

  private mutating func entity() throws(XMLElement.Fault) -> [UInt8] {
    let start = at
    try skipPast(";")
    let name = String(decoding: bytes[start..<(at - 1)], as: UTF8.self)
    switch name {
    case "amp": return Array("&".utf8)
    case "lt": return Array("<".utf8)
    case "gt": return Array(">".utf8)
    case "quot": return Array("\"".utf8)
    case "apos": return Array("'".utf8)
    default:
      let number =
        name.hasPrefix("#x") ? UInt32(name.dropFirst(2), radix: 16) : UInt32(name.dropFirst(1), radix: 10)
      guard name.hasPrefix("#"), let scalar = number.flatMap(Unicode.Scalar.init) else {
        throw fault("&\(name.prefix(20)); is unknown")
      }
      return Array(String(Character(scalar)).utf8)
    }
  }

  private mutating func skip(_ text: StaticString) -> Bool {
    let length = text.utf8CodeUnitCount
    guard at + length <= bytes.count else { return false }
    let matches = text.withUTF8Buffer { buffer in bytes[at..<(at + length)].elementsEqual(buffer) }
    if matches { at += length }
    return matches
  }

  private mutating func skipPast(_ text: StaticString) throws(XMLElement.Fault) {
    while at < bytes.count {
      if skip(text) { return }
      at += 1
    }
    throw fault("\(text) is missing")
  }

  private mutating func skipBlanks() {
    while at < bytes.count, isBlank(bytes[at]) { at += 1 }
  }

  private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 }

  private func fault(_ reason: String) -> XMLElement.Fault { XMLElement.Fault(reason: "\(reason), at byte \(at)") }
}
