import Domain

/// Learns the JSON schema of a type by letting it decode itself, and writing down what it asks for.
///
/// So the description of the API can not drift from the types that it is made of. What cannot be learned in this way, as
/// an enum with payloads, is described as an object and no more.
enum SchemaRecorder {
  /// The schema of `type`.
  ///
  /// Types with properties and enums go into `schemas` under their name, and what is given back refers to them.
  static func schema(of type: any Decodable.Type, into schemas: inout [String: JSONValue]) -> JSONValue {
    let recording = SchemaRecording(schemas)
    let schema = recording.learn(type)
    schemas = recording.schemas
    return schema
  }
}

/// What has been learned so far.
///
/// Lives for one call, on one task.
private final class SchemaRecording {
  private(set) var schemas: [String: JSONValue]
  /// Values of the types that are learned, since a type that holds one has to get one.
  private var samples: [String: Any] = [:]
  private var underWay: Set<String> = []

  init(_ schemas: [String: JSONValue]) { self.schemas = schemas }

  func learn(_ type: any Decodable.Type) -> JSONValue {
    func open<T: Decodable>(_ type: T.Type) -> JSONValue { learned(type).schema }
    return open(type)
  }

  /// The schema of `type`, and a value of it; nil where there is none to be had.
  func learned<T: Decodable>(_ type: T.Type) -> (schema: JSONValue, sample: T?) {
    switch type {
    case let plain as any PlainJSON.Type: return (plain.schema, plain.sample as? T)
    case is Timestamp.Type:
      let schema: JSONValue = .object(["type": .string("string"), "format": .string("date-time")])
      return (schema, Timestamp(microseconds: 0) as? T)
    case let list as any ListJSON.Type:
      return (.object(["type": .string("array"), "items": learn(list.elementType)]), list.none as? T)
    case let table as any TableJSON.Type:
      let schema: JSONValue = .object([
        "type": .string("object"), "additionalProperties": learn(table.valueType),
      ])
      return (schema, table.none as? T)
    default: return learnedByDecoding(type)
    }
  }

  private func learnedByDecoding<T: Decodable>(_ type: T.Type) -> (schema: JSONValue, sample: T?) {
    let name = Self.name(of: type)
    let reference: JSONValue = .object(["$ref": .string("#/components/schemas/\(name)")])
    if let cases = type as? any (CaseIterable & RawRepresentable).Type, let (words, first) = Self.words(of: cases) {
      schemas[name] = .object(["type": .string("string"), "enum": .array(words.map(JSONValue.string))])
      return (reference, first as? T)
    }
    // In two steps: nothing, cast to an optional, would be one.
    if let known = samples[name], let sample = known as? T { return (reference, sample) }
    if underWay.contains(name) { return (reference, nil) }
    underWay.insert(name)
    defer { underWay.remove(name) }
    let recorder = RecordingDecoder(self)
    let sample: T?
    do {
      sample = try T(from: recorder)
    } catch {
      // As far as it came: the payload of an enum cannot be guessed.
      sample = nil
    }
    if let single = recorder.single { return (single, sample) }
    schemas[name] = recorder.object
    if let sample { samples[name] = sample }
    return (reference, sample)
  }

  private static func words<E: CaseIterable & RawRepresentable>(of type: E.Type) -> ([String], E)? {
    let words = type.allCases.compactMap { $0.rawValue as? String }
    guard let first = type.allCases.first, words.count == type.allCases.count else { return nil }
    return (words, first)
  }

  /// `Wire.Listing<Wire.NodeView>` is `ListingOfNodeView`, `Wire.NodeView.GPU` is `NodeView.GPU`.
  static func name(of type: Any.Type) -> String {
    String(reflecting: type).split { "<>, ".contains($0) }.map { qualified in
      qualified.split(separator: ".").dropFirst().joined(separator: ".")
    }.joined(separator: "Of")
  }
}

/// Writes down what a type asks for.
private final class RecordingDecoder: Decoder {
  let recording: SchemaRecording
  /// What a type that is one value asked for.
  var single: JSONValue?
  var properties: [String: JSONValue] = [:]
  var required: Set<String> = []

  let codingPath: [any CodingKey] = []
  let userInfo: [CodingUserInfoKey: Any] = [:]

  init(_ recording: SchemaRecording) { self.recording = recording }

  /// What a type with properties asked for.
  var object: JSONValue {
    guard !properties.isEmpty else { return .object(["type": .string("object")]) }
    var fields: [String: JSONValue] = ["type": .string("object"), "properties": .object(properties)]
    if !required.isEmpty { fields["required"] = .array(required.sorted().map(JSONValue.string)) }
    return .object(fields)
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
    KeyedDecodingContainer(RecordingObject<Key>(decoder: self))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw unknown("a list of its own") }

  func singleValueContainer() -> any SingleValueDecodingContainer { RecordingValue(decoder: self) }

  func unknown(_ what: String) -> DecodingError {
    DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "the schema of \(what) cannot be learned"))
  }
}

private struct RecordingObject<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let decoder: RecordingDecoder
  var codingPath: [any CodingKey] { [] }
  var allKeys: [Key] { [] }

  private func note<T: Decodable>(_ key: Key, _ type: T.Type) throws -> T {
    let (schema, sample) = decoder.recording.learned(type)
    if decoder.properties[key.stringValue] == nil { decoder.required.insert(key.stringValue) }
    decoder.properties[key.stringValue] = schema
    guard let sample else { throw decoder.unknown("\(type)") }
    return sample
  }

  func contains(_ key: Key) -> Bool { true }

  /// Asked before a plain value that may be absent.
  func decodeNil(forKey key: Key) -> Bool {
    decoder.properties[key.stringValue] = .object([:])
    return false
  }

  func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) -> T? {
    decoder.properties[key.stringValue] = decoder.recording.learned(type).schema
    return nil
  }

  func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try note(key, type) }
  func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try note(key, type) }
  func decode(_ type: String.Type, forKey key: Key) throws -> String { try note(key, type) }
  func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try note(key, type) }
  func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try note(key, type) }
  func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try note(key, type) }
  func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try note(key, type) }
  func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try note(key, type) }
  func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try note(key, type) }
  func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try note(key, type) }
  func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try note(key, type) }
  func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try note(key, type) }
  func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try note(key, type) }
  func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try note(key, type) }
  func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try note(key, type) }

  func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type, forKey key: Key
  ) throws -> KeyedDecodingContainer<Nested> {
    throw decoder.unknown(key.stringValue)
  }

  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    throw decoder.unknown(key.stringValue)
  }

  func superDecoder() throws -> any Decoder { throw decoder.unknown("a superclass") }
  func superDecoder(forKey key: Key) throws -> any Decoder { throw decoder.unknown("a superclass") }
}

private struct RecordingValue: SingleValueDecodingContainer {
  let decoder: RecordingDecoder
  var codingPath: [any CodingKey] { [] }

  private func note<T: Decodable>(_ type: T.Type) throws -> T {
    let (schema, sample) = decoder.recording.learned(type)
    decoder.single = schema
    guard let sample else { throw decoder.unknown("\(type)") }
    return sample
  }

  func decodeNil() -> Bool { false }
  func decode<T: Decodable>(_ type: T.Type) throws -> T { try note(type) }
  func decode(_ type: Bool.Type) throws -> Bool { try note(type) }
  func decode(_ type: String.Type) throws -> String { try note(type) }
  func decode(_ type: Double.Type) throws -> Double { try note(type) }
  func decode(_ type: Float.Type) throws -> Float { try note(type) }
  func decode(_ type: Int.Type) throws -> Int { try note(type) }
  func decode(_ type: Int8.Type) throws -> Int8 { try note(type) }
  func decode(_ type: Int16.Type) throws -> Int16 { try note(type) }
  func decode(_ type: Int32.Type) throws -> Int32 { try note(type) }
  func decode(_ type: Int64.Type) throws -> Int64 { try note(type) }
  func decode(_ type: UInt.Type) throws -> UInt { try note(type) }
  func decode(_ type: UInt8.Type) throws -> UInt8 { try note(type) }
  func decode(_ type: UInt16.Type) throws -> UInt16 { try note(type) }
  func decode(_ type: UInt32.Type) throws -> UInt32 { try note(type) }
  func decode(_ type: UInt64.Type) throws -> UInt64 { try note(type) }
}

// MARK: - What JSON itself has

/// A type that is one JSON value.
private protocol PlainJSON {
  static var schema: JSONValue { get }
  static var sample: Self { get }
}

extension PlainJSON where Self: FixedWidthInteger {
  static var schema: JSONValue { .object(["type": .string("integer")]) }
  static var sample: Self { 0 }
}

extension PlainJSON where Self: BinaryFloatingPoint {
  static var schema: JSONValue { .object(["type": .string("number")]) }
  static var sample: Self { 0 }
}

extension Int: PlainJSON {}
extension Int8: PlainJSON {}
extension Int16: PlainJSON {}
extension Int32: PlainJSON {}
extension Int64: PlainJSON {}
extension UInt: PlainJSON {}
extension UInt8: PlainJSON {}
extension UInt16: PlainJSON {}
extension UInt32: PlainJSON {}
extension UInt64: PlainJSON {}
extension Double: PlainJSON {}
extension Float: PlainJSON {}

extension Bool: PlainJSON {
  static var schema: JSONValue { .object(["type": .string("boolean")]) }
  static var sample: Bool { false }
}

extension String: PlainJSON {
  static var schema: JSONValue { .object(["type": .string("string")]) }
  static var sample: String { "" }
}

/// A type that is a JSON array.
private protocol ListJSON {
  static var elementType: any Decodable.Type { get }
  static var none: Self { get }
}

extension Array: ListJSON where Element: Decodable {
  static var elementType: any Decodable.Type { Element.self }
  static var none: Self { [] }
}

extension Set: ListJSON where Element: Decodable {
  static var elementType: any Decodable.Type { Element.self }
  static var none: Self { [] }
}

/// A type that is a JSON object with any names.
private protocol TableJSON {
  static var valueType: any Decodable.Type { get }
  static var none: Self { get }
}

extension Dictionary: TableJSON where Key == String, Value: Decodable {
  static var valueType: any Decodable.Type { Value.self }
  static var none: Self { [:] }
}
