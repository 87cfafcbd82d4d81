public import Domain

/// The JSON API below `/api/v1`: what each address takes and gives.
///
/// Times are ISO-8601 in UTC, lengths of time are seconds, sizes are bytes, ids are integers.
public enum API {
  /// Where the API begins.
  public static let root = "/api/v1"
}

/// Why the server did not do what it was asked, in the body of every response with a status of 400 or more.
public struct APIFailure: Error, Hashable, Sendable, Codable {
  /// One word, stable, for programs.
  public var code: Code
  /// A sentence for people: what was asked, what is wrong, what to do.
  public var message: String
  /// Further lines, as in one for each mistake of a job file.
  public var details: [String]

  /// The kinds of failure, and with them the HTTP status and the exit code of the CLI.
  public enum Code: String, Hashable, Sendable, Codable, CaseIterable {
    /// The request makes no sense (400; exit 65).
    case badRequest
    /// A job file with mistakes (422; exit 65).
    case badJobFile
    /// What was sent is larger than the server takes (413; exit 65).
    case tooLarge
    /// No token, or none that is known (401; exit 77).
    case unauthenticated
    /// The token's role or project does not allow it (403; exit 77).
    case denied
    /// No such thing (404; exit 65).
    case notFound
    /// It contradicts something that exists: an overlapping lease, a name in use (409; exit 73).
    case conflict
    /// The state of the thing does not allow it (409; exit 75).
    case wrongState
    /// The server cannot at present: database or object store away (503; exit 75).
    case unavailable
    /// A mistake of ours (500; exit 70).
    case `internal`
    /// A code of a newer server (exit 70).
    case unknown

    /// Reads a code; one that is not known becomes `.unknown`.
    public init(from decoder: any Decoder) throws {
      self = Code(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unknown
    }
  }

  /// A failure.
  public init(_ code: Code, _ message: String, details: [String] = []) {
    self.code = code
    self.message = message
    self.details = details
  }
}

extension APIFailure: CustomStringConvertible {
  /// The message, and a line for each detail.
  public var description: String { ([message] + details).joined(separator: "\n") }
}

/// `GET /health`: needs no token.
public struct HealthView: Hashable, Sendable, Codable {
  /// Version of Baton.
  public var version: String
  /// Whether this process holds the controller epoch.
  public var isController: Bool
  /// The epoch in force.
  public var controllerEpoch: Int64
  /// Whether the database answers.
  public var database: Bool
  /// The clock that decides.
  public var now: Timestamp

  /// A state of health.
  public init(version: String, isController: Bool, controllerEpoch: Int64, database: Bool, now: Timestamp) {
    self.version = version
    self.isController = isController
    self.controllerEpoch = controllerEpoch
    self.database = database
    self.now = now
  }
}

/// A list, with the moment at which it was true by the clock that decides.
public struct Listing<Item: Hashable & Sendable & Codable>: Hashable, Sendable, Codable {
  /// When.
  public var now: Timestamp
  /// What.
  public var items: [Item]
  /// What to give as `before` for those that follow; nil where none do.
  public var next: Int64?

  /// `items` as of `now`.
  public init(now: Timestamp, items: [Item], next: Int64? = nil) {
    self.now = now
    self.items = items
    self.next = next
  }

  /// The first `limit` of `found`, which is one more where there are more; `id` is what the next page comes before.
  public init(now: Timestamp, upTo limit: Int, of found: [Item], id: (Item) -> Int64) {
    let page = Array(found.prefix(limit))
    self.init(now: now, items: page, next: found.count > limit ? page.last.map(id) : nil)
  }
}
