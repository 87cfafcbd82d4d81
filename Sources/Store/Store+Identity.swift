public import Domain
public import Postgres

/// What a token allows.
public enum Role: String, Hashable, Sendable, Codable, CaseIterable, SQLBindable, SQLDecodable {
  /// To work in its project.
  case user
  /// To work anywhere, and on the site.
  case admin
  /// To look at its project.
  case viewer
}

/// Who acts, where, and by what right.
public struct Principal: Hashable, Sendable {
  /// The token that was shown.
  public var token: TokenID
  /// Who.
  public var user: UserID
  /// The user's name.
  public var userName: String
  /// Where.
  public var project: ProjectID
  /// The project's name.
  public var projectName: String
  /// By what right.
  public var role: Role

  /// Whoever asks where nobody needs to be anybody: looks at what everyone may see.
  public static let anonymous = Principal()

  private init() {
    token = TokenID(0)
    user = UserID(0)
    userName = "anonymous"
    project = ProjectID(0)
    projectName = ""
    role = .viewer
  }

  init(row: Row) throws {
    token = try row.get("token_id")
    user = try row.get("user_id")
    userName = try row.get("user_name")
    project = try row.get("project_id")
    projectName = try row.get("project_name")
    role = try row.get("role")
  }

  /// As it stands in the audit log.
  public var actor: Actor { .user(userName) }
}

/// A token as it is listed; the secret is nowhere.
public struct TokenRecord: Hashable, Sendable {
  /// Which token, whose, for what.
  public var principal: Principal
  /// When it was made.
  public var createdAt: Timestamp
  /// When it stops being good by itself; nil is never.
  public var expiresAt: Timestamp?
  /// When somebody took it back.
  public var revokedAt: Timestamp?
}

extension Store {
  /// The project of this name, made if there is none.
  ///
  /// Throws `.badName`.
  public func ensureProject(_ name: String) async throws -> ProjectID {
    try await named("project", name) {
      try await pool.one(
        """
        INSERT INTO project (name) VALUES (\(name))
        ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id
        """
      ).get("id")
    }
  }

  /// The user of this name, made if there is none.
  ///
  /// Throws `.badName`.
  public func ensureUser(_ name: String) async throws -> UserID {
    try await named("user", name) {
      try await pool.one(
        """
        INSERT INTO app_user (name) VALUES (\(name))
        ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id
        """
      ).get("id")
    }
  }

  /// The project of this name, nil where there is none.
  public func project(named name: String) async throws -> ProjectID? {
    try await pool.first("SELECT id FROM project WHERE name = \(name)")?.get("id")
  }

  /// Makes a token.
  ///
  /// `secretHash` is the SHA-256 of its secret in 64 lower-case hexadecimal digits; nil for `expiresAt` makes one that
  /// lasts until it is revoked.
  public func createToken(
    user: UserID, project: ProjectID, role: Role, secretHash: String, expiresAt: Timestamp? = nil, by actor: Actor
  ) async throws -> TokenID {
    try await transaction { transaction in
      let id: TokenID = try await transaction.one(
        """
        INSERT INTO token (user_id, project_id, role, secret_sha256, expires_at)
        VALUES (\(user), \(project), \(role), \(secretHash), \(expiresAt)) RETURNING id
        """
      ).get("id")
      try await record(
        "token.create", Subject(id), project: project, by: actor,
        detail: ["user": "\(user)", "role": role.rawValue], in: transaction)
      return id
    }
  }

  /// Who shows a secret with this hash; nil where no token that is still good has it.
  public func authenticate(secretHash: String) async throws -> Principal? {
    try await pool.first(
      """
      SELECT t.id AS token_id, t.role, u.id AS user_id, u.name AS user_name, p.id AS project_id, p.name AS project_name
      FROM token t JOIN app_user u ON u.id = t.user_id JOIN project p ON p.id = t.project_id
      WHERE t.secret_sha256 = \(secretHash) AND t.revoked_at IS NULL
        AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
      """
    ).map(Principal.init)
  }

  /// Takes a token back at once; `.stale` where it was already, or never was.
  public func revokeToken(_ token: TokenID, by actor: Actor) async throws -> Guarded<TokenID> {
    try await transaction { transaction in
      let row = try await transaction.first(
        """
        UPDATE token SET revoked_at = clock_timestamp() WHERE id = \(token) AND revoked_at IS NULL RETURNING project_id
        """)
      guard let row else { return .stale }
      try await record("token.revoke", Subject(token), project: row.get("project_id"), by: actor, in: transaction)
      return .done(token)
    }
  }

  /// The tokens of a project, or all of them, newest first.
  public func tokens(project: ProjectID? = nil) async throws -> [TokenRecord] {
    try await pool.query(
      """
      SELECT t.id AS token_id, t.role, u.id AS user_id, u.name AS user_name, p.id AS project_id, p.name AS project_name,
        t.created_at, t.expires_at, t.revoked_at
      FROM token t JOIN app_user u ON u.id = t.user_id JOIN project p ON p.id = t.project_id
      WHERE \(project)::bigint IS NULL OR t.project_id = \(project)::bigint
      ORDER BY t.id DESC
      """
    ).map { row in
      TokenRecord(
        principal: try Principal(row: row), createdAt: try row.get("created_at"),
        expiresAt: try row.get("expires_at"), revokedAt: try row.get("revoked_at"))
    }
  }

  /// Runs `body`, and says what is wrong with `name` where a constraint of the database refused it.
  func named<Result>(_ kind: String, _ name: String, _ body: () async throws -> Result) async throws -> Result {
    do {
      return try await body()
    } catch let error as PostgresError where error.code == .uniqueViolation && error.refusesName(kind) {
      throw StoreError.nameTaken(kind: kind, name: name)
    } catch let error as PostgresError where error.code == .checkViolation && error.refusesName(kind) {
      throw StoreError.badName(kind: kind, name: name)
    }
  }
}

extension PostgresError {
  fileprivate func refusesName(_ kind: String) -> Bool {
    guard let constraint else { return false }
    return constraint.hasPrefix(kind == "user" ? "app_user" : kind) && constraint.contains("name")
  }
}
