import Domain
import Hummingbird
import Wire

/// The description of the API in the terms of OpenAPI 3.1, made from the routes themselves.
enum OpenAPI {
  /// The whole document.
  static func document(of routes: [Route]) -> JSONValue {
    var paths: [String: [String: JSONValue]] = [:]
    var schemas: [String: JSONValue] = [:]
    for route in routes {
      paths[API.root + route.path, default: [:]][route.method.rawValue.lowercased()] = operation(route, &schemas)
    }
    // Named in every operation; what it gives back is only a reference to itself.
    _ = SchemaRecorder.schema(of: APIFailure.self, into: &schemas)
    return .object([
      "openapi": .string("3.1.0"),
      "info": .object([
        "title": .string("Baton"), "version": .string(BatonVersion.current),
        "description": .string("Leases, nodes, data sets, jobs and runs of a bare-metal GPU testbed."),
        "license": .object(["name": .string("Apache-2.0"), "identifier": .string("Apache-2.0")]),
      ]),
      "paths": .object(paths.mapValues(JSONValue.object)),
      "components": .object([
        "schemas": .object(schemas),
        "securitySchemes": .object([
          "token": .object(["type": .string("http"), "scheme": .string("bearer")])
        ]),
      ]),
    ])
  }

  private static func operation(_ route: Route, _ schemas: inout [String: JSONValue]) -> JSONValue {
    var fields: [String: JSONValue] = ["summary": .string(route.summary)]
    let names = route.path.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
    if !names.isEmpty {
      fields["parameters"] = .array(
        names.map {
          .object([
            "name": .string($0), "in": .string("path"), "required": .bool(true),
            "schema": .object(["type": .string("string")]),
          ])
        })
    }
    if case .open = route.access {} else { fields["security"] = .array([.object(["token": .array([])])]) }
    if let takes = route.takes {
      fields["requestBody"] = .object(["content": json(SchemaRecorder.schema(of: takes, into: &schemas))])
    }
    var answer: [String: JSONValue] = ["description": .string("Done")]
    if let gives = route.gives as? any Decodable.Type {
      answer["content"] = json(SchemaRecorder.schema(of: gives, into: &schemas))
    }
    let failure: JSONValue = .object([
      "description": .string("Not done; the body says why"),
      "content": json(.object(["$ref": .string("#/components/schemas/APIFailure")])),
    ])
    fields["responses"] = .object(["200": .object(answer), "default": failure])
    return .object(fields)
  }

  private static func json(_ schema: JSONValue) -> JSONValue {
    .object(["application/json": .object(["schema": schema])])
  }
}

/// Any JSON.
enum JSONValue: Encodable, Sendable, Equatable {
  case string(String)
  case bool(Bool)
  case array([JSONValue])
  case object([String: JSONValue])

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .string(let value): try container.encode(value)
    case .bool(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    }
  }
}
