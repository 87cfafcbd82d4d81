import Domain
import Foundation

/// A value of JSON as paths with texts: what two job files are compared by, key by key.
enum FlatJSON {
  private enum Value: Decodable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case list([Value])
    case object([String: Value])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        self = .null
      } else if let value = try? container.decode(Bool.self) {
        self = .bool(value)
      } else if let value = try? container.decode(Int64.self) {
        self = .integer(value)
      } else if let value = try? container.decode(Double.self) {
        self = .number(value)
      } else if let value = try? container.decode(String.self) {
        self = .text(value)
      } else if let value = try? container.decode([Value].self) {
        self = .list(value)
      } else {
        self = .object(try container.decode([String: Value].self))
      }
    }
  }

  /// The leaves of `value`, by path as in `resources.nodes`; a list of plain values is one leaf.
  static func leaves(of value: some Encodable) throws -> [String: String] {
    let decoded = try JSONDecoder().decode(Value.self, from: try JSONEncoder().encode(value))
    var leaves: [String: String] = [:]
    walk(decoded, "", &leaves)
    return leaves
  }

  private static func walk(_ value: Value, _ path: String, _ leaves: inout [String: String]) {
    switch value {
    case .object(let members) where !members.isEmpty:
      for (key, member) in members { walk(member, path.isEmpty ? key : "\(path).\(key)", &leaves) }
    case .list(let items) where items.contains(where: isCompound):
      for (index, item) in items.enumerated() { walk(item, "\(path)[\(index)]", &leaves) }
    case .list(let items): leaves[path] = items.map(text).joined(separator: " ")
    default: leaves[path] = text(value)
    }
  }

  private static func isCompound(_ value: Value) -> Bool {
    switch value {
    case .object, .list: true
    default: false
    }
  }

  private static func text(_ value: Value) -> String {
    switch value {
    case .null, .object, .list: ""
    case .bool(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .text(let value): value
    }
  }

  /// The path as a person writes it in a job file: `command` is `run` there, `survivesLease` is `lease.survive`.
  static func jobFileKey(_ path: String) -> String {
    let names = ["command": "run", "seed": "seeds.global", "survivesLease": "lease.survive"]
    if let name = names[path] { return name }
    if path.hasPrefix("environment.") { return "env." + path.dropFirst("environment.".count) }
    if path == "lease" || path.hasPrefix("lease.") { return "lease.use" }
    return path.reduce(into: "") { text, character in
      if character.isUppercase { text += "_" + character.lowercased() } else { text.append(character) }
    }
  }
}
