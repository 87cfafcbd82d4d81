import Domain
import Testing
import Wire

@testable import Daemon

struct SchemaRecorderTests {
  private enum Colour: String, Decodable, CaseIterable {
    case red, green
  }

  private enum Shape: Decodable {
    case round(radius: Int)
  }

  private struct Part: Decodable {
    var name: String
  }

  private struct Whole: Decodable {
    var id: JobID
    var count: Int?
    var colour: Colour
    var colourMaybe: Colour?
    var part: Part?
    var parts: [Part]
    var words: [String: String]
    var at: Timestamp
    var took: TimeSpan
    var size: ByteCount
    var shape: Shape?
    var ok: Bool
  }

  private struct Tree: Decodable {
    var children: [Tree]
  }

  private func properties(_ schema: JSONValue?) throws -> [String: JSONValue] {
    guard case .object(let fields)? = schema, case .object(let properties)? = fields["properties"] else {
      throw APIFailure(.internal, "no properties")
    }
    return properties
  }

  private func plain(_ type: String) -> JSONValue { .object(["type": .string(type)]) }

  @Test func learnsWhatATypeAsksFor() throws {
    var schemas: [String: JSONValue] = [:]
    let reference = SchemaRecorder.schema(of: Whole.self, into: &schemas)
    let name = try #require(schemas.keys.first { $0.hasSuffix("Whole") })
    #expect(reference == .object(["$ref": .string("#/components/schemas/\(name)")]))
    let found = try properties(schemas[name])
    #expect(found.count == 12)
    #expect(found["id"] == plain("integer"))
    #expect(found["count"] == plain("integer"))
    #expect(found["at"] == .object(["type": .string("string"), "format": .string("date-time")]))
    #expect(found["took"] == plain("number"))
    #expect(found["size"] == plain("integer"))
    #expect(found["ok"] == plain("boolean"))
    #expect(found["colour"] == found["colourMaybe"])
    #expect(found["words"] == .object(["type": .string("object"), "additionalProperties": plain("string")]))
    guard case .object(let whole)? = schemas[name], case .array(let required)? = whole["required"] else {
      Issue.record("nothing is required")
      return
    }
    #expect(
      required
        == ["at", "colour", "id", "ok", "parts", "size", "took", "words"].map(JSONValue.string))
  }

  @Test func listsTheWordsOfAnEnum() throws {
    var schemas: [String: JSONValue] = [:]
    _ = SchemaRecorder.schema(of: JobState.self, into: &schemas)
    #expect(
      schemas["JobState"]
        == .object([
          "type": .string("string"), "enum": .array(JobState.allCases.map { .string($0.rawValue) }),
        ]))
  }

  @Test func endsForATypeThatHoldsItself() throws {
    var schemas: [String: JSONValue] = [:]
    _ = SchemaRecorder.schema(of: Tree.self, into: &schemas)
    #expect(schemas.count == 1)
  }

  /// A type that could not be learned to its end would be described without its last properties, and nobody would see.
  @Test func learnsEveryTypeOfTheAPIToItsEnd() throws {
    var schemas: [String: JSONValue] = [:]
    for route in API.routes {
      for type in [route.takes, route.gives as? any Decodable.Type].compactMap({ $0 }) {
        _ = SchemaRecorder.schema(of: type, into: &schemas)
      }
    }
    let bare = schemas.filter { $0.value == .object(["type": .string("object")]) }.keys
    #expect(bare.sorted() == ["Refusal"])
    #expect(try properties(schemas["JobView"])["staging"] != nil)
    #expect(try properties(schemas["NodeView"])["software"] != nil)
  }

  @Test func refersToNothingThatIsNotThere() throws {
    guard case .object(let document) = OpenAPI.document(of: API.routes),
      case .object(let components)? = document["components"], case .object(let schemas)? = components["schemas"]
    else {
      Issue.record("the document has no schemas")
      return
    }
    for reference in references(in: .object(document)) {
      #expect(reference.hasPrefix("#/components/schemas/"))
      #expect(schemas[String(reference.dropFirst("#/components/schemas/".count))] != nil, "\(reference)")
    }
  }

  private func references(in value: JSONValue) -> [String] {
    switch value {
    case .array(let items): items.flatMap(references)
    case .object(let fields):
      fields.flatMap { name, value -> [String] in
        if name == "$ref", case .string(let reference) = value { return [reference] }
        return references(in: value)
      }
    default: []
    }
  }
}

struct LocalPathTests {
  @Test(arguments: ["/", "/runs/17", "/runs/17?metric=loss%2Ftrain", "/events?subject=job-17&before=9"])
  func keepsPathsOfThisServer(_ path: String) {
    #expect(Pages.localPath(path) == path)
  }

  @Test(arguments: [
    nil, "", "runs", "//evil.example", "/\\evil.example", "https://evil.example", "/%2F/evil.example",
    "/\t/evil.example",
    "/%09/evil.example", "/%5Cevil.example", "/\r\nSet-Cookie: a=b", "javascript:alert(1)", "/login?next=/login",
    "/%zz",
    "/é",
  ])
  func leadsNowhereElse(_ path: String?) {
    #expect(Pages.localPath(path) == "/")
  }
}
