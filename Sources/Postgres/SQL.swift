/// A statement and the values bound to it, built by string interpolation.
///
/// Whatever is interpolated becomes a bound parameter, never text of the statement, so no value can change what the
/// statement means:
///
///     let q: SQL = "SELECT id FROM job WHERE id = \(id) AND state = \(state)"   // ... WHERE id = $1 AND state = $2
///
/// Parameters travel as text and take the type PostgreSQL infers from where they stand. Where it cannot infer one,
/// write the cast: `\(seconds)::bigint`. A `String` variable cannot become an `SQL`; only a literal can.
public struct SQL: Sendable, Hashable, ExpressibleByStringInterpolation, CustomStringConvertible {
  /// The text around the parameters: always one more than there are parameters.
  private var segments: [String]

  /// The parameters in the order of their numbers, each in PostgreSQL's text form; nil is NULL.
  private(set) var binds: [String?]

  /// Makes a statement without parameters from a literal.
  public init(stringLiteral value: String) {
    segments = [value]
    binds = []
  }

  /// Makes a statement from an interpolated literal.
  public init(stringInterpolation: StringInterpolation) {
    self = stringInterpolation.sql
  }

  /// The statement as PostgreSQL sees it, with `$1` and so on where values are bound.
  public var text: String {
    var text = segments[0]
    for number in binds.indices {
      text += "$\(number + 1)"
      text += segments[number + 1]
    }
    return text
  }

  /// The statement's text without the bound values, which may be secrets.
  public var description: String { text }

  private mutating func append(text: String) {
    segments[segments.count - 1] += text
  }

  private mutating func append(bind: String?) {
    binds.append(bind)
    segments.append("")
  }

  private mutating func append(_ other: SQL) {
    append(text: other.segments[0])
    segments += other.segments.dropFirst()
    binds += other.binds
  }

  /// Collects the pieces of an interpolated literal.
  public struct StringInterpolation: StringInterpolationProtocol, Sendable {
    fileprivate var sql: SQL = ""

    /// Starts an empty statement.
    public init(literalCapacity: Int, interpolationCount: Int) {}

    /// Appends text that the programmer wrote.
    public mutating func appendLiteral(_ literal: String) {
      sql.append(text: literal)
    }

    /// Binds a value as the next parameter.
    public mutating func appendInterpolation(_ value: some SQLBindable) {
      sql.append(bind: value.sqlText)
    }

    /// Binds a value as the next parameter, or NULL.
    ///
    /// Apart from the other only because the compiler warns of optionals in an interpolation that does not ask for
    /// them.
    public mutating func appendInterpolation<Value: SQLBindable>(_ value: Value?) {
      sql.append(bind: value?.sqlText)
    }

    /// Embeds another statement or a part of one, with its parameters renumbered.
    public mutating func appendInterpolation(_ fragment: SQL) {
      sql.append(fragment)
    }

    /// Embeds text known when the program was compiled.
    public mutating func appendInterpolation(raw text: StaticString) {
      sql.append(text: "\(text)")
    }

    /// Embeds the name of a table, a column, a channel..., quoted, for the places where PostgreSQL takes no parameter.
    public mutating func appendInterpolation(identifier name: String) {
      sql.append(text: quotedIdentifier(name))
    }
  }
}

/// The name in double quotes, with those inside doubled: always one identifier, whatever it holds.
func quotedIdentifier(_ name: String) -> String {
  var quoted = "\""
  for character in name.unicodeScalars {
    if character == "\"" { quoted += "\"" }
    quoted.unicodeScalars.append(character)
  }
  return quoted + "\""
}
