public import Domain
import FoundationEssentials
import Postgres

/// Where the schema's files come from.
public enum MigrationSource: Hashable, Sendable {
  /// A folder of files `NNNN_subject.sql`; other files in it are ignored.
  case directory(String)
  /// The text of each file, by file name: for a program that carries them inside.
  case files([String: String])
}

/// One file of the schema, and whether the database has it.
public struct MigrationStatus: Hashable, Sendable {
  /// Its number.
  public var version: Int
  /// Its subject.
  public var name: String
  /// When the database got it; nil where it has not.
  public var appliedAt: Timestamp?
}

/// Why the schema was left as it is.
public enum MigrationError: Error, Hashable, Sendable {
  /// The folder cannot be read.
  case unreadable(path: String, reason: String)
  /// There is no file `NNNN_subject.sql` at all.
  case none
  /// Two files have one number.
  case twice(version: Int)
  /// A file is not what it was when it was applied.
  case changed(version: Int, name: String)
  /// A file that was applied is gone.
  case missing(version: Int, name: String)
  /// The database has migrations that this program does not know: it is older than the database.
  case databaseIsNewer(database: Int, program: Int)
  /// A file that was not applied comes before one that was.
  case outOfOrder(version: Int, name: String)
}

extension MigrationError: CustomStringConvertible {
  /// What is wrong and what helps.
  public var description: String {
    switch self {
    case .unreadable(let path, let reason): "the migrations in '\(path)' cannot be read: \(reason)"
    case .none: "there is no migration (NNNN_subject.sql): say where they are"
    case .twice(let version): "two migrations have the number \(version): give one of them the next free number"
    case .changed(let version, let name):
      "migration \(version) (\(name)) was changed after it was applied: restore it, and put the change into a new one"
    case .missing(let version, let name): "migration \(version) (\(name)) was applied, and its file is gone: restore it"
    case .databaseIsNewer(let database, let program):
      "the database is at version \(database) and this program knows up to \(program): start a newer batond"
    case .outOfOrder(let version, let name):
      "migration \(version) (\(name)) comes before one that was applied already: give it the next free number"
    }
  }
}

extension Store {
  /// The same in every program that migrates: only one does at a time.
  private static let migrationLock: Int64 = 0x6261_746f_6e73_7163

  /// Brings the schema up to date and gives what was applied now: nothing where it was up to date.
  ///
  /// Each file is applied in a transaction of its own, whole or not at all; two that run at once do not disturb each
  /// other. Throws `MigrationError` before anything changes where files and database do not fit together, and
  /// `PostgresError` with the line of the statement that failed.
  public func migrate(from source: MigrationSource) async throws -> [MigrationStatus] {
    let files = try MigrationFile.load(source)
    var applied: [MigrationStatus] = []
    while let next = try await applyNext(of: files) { applied.append(next) }
    return applied
  }

  /// Every file and whether the database has it, by number.
  ///
  /// Changes nothing but for the empty table that it reads.
  ///
  /// Throws as `migrate` does.
  public func migrationStatus(from source: MigrationSource) async throws -> [MigrationStatus] {
    let files = try MigrationFile.load(source)
    return try await transaction { transaction in
      let applied = try await appliedMigrations(matching: files, in: transaction)
      return files.map { MigrationStatus(version: $0.version, name: $0.name, appliedAt: applied[$0.version]) }
    }
  }

  private func applyNext(of files: [MigrationFile]) async throws -> MigrationStatus? {
    try await transaction { transaction in
      let applied = try await appliedMigrations(matching: files, in: transaction)
      guard let next = files.first(where: { applied[$0.version] == nil }) else { return nil }
      try await transaction.executeScript(next.script, timeout: .seconds(3600))
      let row = try await transaction.one(
        """
        INSERT INTO schema_migration (version, name, sha256)
        VALUES (\(next.version), \(next.name), encode(sha256(convert_to(\(next.script), 'UTF8')), 'hex'))
        RETURNING applied_at
        """)
      return MigrationStatus(version: next.version, name: next.name, appliedAt: try row.get("applied_at"))
    }
  }

  /// When each applied migration was, after a check that they are the same as `files`; holds the lock from then on.
  private func appliedMigrations(
    matching files: [MigrationFile], in transaction: PostgresTransaction
  ) async throws -> [Int: Timestamp] {
    try await transaction.execute("SELECT pg_advisory_xact_lock(\(Self.migrationLock))")
    try await transaction.execute(
      """
      CREATE TABLE IF NOT EXISTS schema_migration (
        version integer PRIMARY KEY,
        name text NOT NULL,
        sha256 text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
      )
      """)
    let rows = try await transaction.query(
      """
      SELECT m.version, m.name, m.applied_at, f.version IS NOT NULL AS has_file,
        m.sha256 = encode(sha256(convert_to(f.script, 'UTF8')), 'hex') AS is_same
      FROM schema_migration m
      LEFT JOIN unnest(\(files.map(\.version))::integer[], \(files.map(\.script))::text[]) AS f (version, script)
        ON f.version = m.version
      ORDER BY m.version
      """)
    var applied: [Int: Timestamp] = [:]
    for row in rows {
      let version = try row.get("version", as: Int.self)
      let name = try row.get("name", as: String.self)
      if let newest = files.last?.version, version > newest {
        throw MigrationError.databaseIsNewer(database: try rows.last?.get("version") ?? version, program: newest)
      }
      guard try row.get("has_file", as: Bool.self) else { throw MigrationError.missing(version: version, name: name) }
      guard try row.get("is_same", as: Bool?.self) == true else {
        throw MigrationError.changed(version: version, name: name)
      }
      applied[version] = try row.get("applied_at")
    }
    if let newest = applied.keys.max(),
      let late = files.first(where: { $0.version < newest && applied[$0.version] == nil })
    {
      throw MigrationError.outOfOrder(version: late.version, name: late.name)
    }
    return applied
  }
}

/// A file of the schema.
private struct MigrationFile {
  let version: Int
  let name: String
  let script: String

  /// `0001_identity.sql`; nil for any other name.
  private init?(fileName: String, script: String) {
    guard fileName.hasSuffix(".sql") else { return nil }
    let parts = fileName.dropLast(4).split(separator: "_", maxSplits: 1)
    guard parts.count == 2, parts[0].count == 4, let version = Int(parts[0]), version > 0 else { return nil }
    self.version = version
    name = String(parts[1])
    self.script = script
  }

  /// The files by number.
  static func load(_ source: MigrationSource) throws -> [MigrationFile] {
    let texts: [String: String]
    switch source {
    case .files(let files): texts = files
    case .directory(let path): texts = try read(path)
    }
    let files = texts.compactMap { MigrationFile(fileName: $0.key, script: $0.value) }.sorted {
      $0.version < $1.version
    }
    guard !files.isEmpty else { throw MigrationError.none }
    for (file, next) in zip(files, files.dropFirst()) where file.version == next.version {
      throw MigrationError.twice(version: file.version)
    }
    return files
  }

  private static func read(_ path: String) throws -> [String: String] {
    do {
      var texts: [String: String] = [:]
      for name in try FileManager.default.contentsOfDirectory(atPath: path) where name.hasSuffix(".sql") {
        texts[name] = try String(contentsOfFile: path + "/" + name, encoding: .utf8)
      }
      return texts
    } catch {
      throw MigrationError.unreadable(path: path, reason: "\(error)")
    }
  }
}
