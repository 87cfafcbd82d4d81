enum SchemaRecorder {
  static func schema(of type: any Decodable.Type, into schemas: inout [String: JSONValue]) -> JSONValue {
    .object(["type": .string("object")])
  }
}
