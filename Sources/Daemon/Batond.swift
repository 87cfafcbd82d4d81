import ArgumentParser
import Crypto
import Domain
import Foundation
import Hummingbird
import Launching
import Logging
import ObjectStorage
import Postgres
import SSH
import ServiceLifecycle
import Store

/// The daemon as a program.
public enum DaemonProgram {
  /// Runs what the command line asks for, and ends the process with its exit code.
  public static func main() async { await Batond.main() }
}

/// The daemon's command line.
struct Batond: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "batond",
    abstract: "Baton's controller and HTTP API.",
    discussion: """
      Reads its settings from a JSON file; docs/configuration.md lists them.

      Examples:
        batond migrate --config batond.json
        batond token create --config batond.json --user alice --project vision
        batond key create --config batond.json
        batond credentials set --config batond.json < credentials.json
        batond serve --config batond.json
      """,
    version: BatonVersion.current,
    subcommands: [Serve.self, Migrate.self, Token.self, Key.self, Credentials.self],
    defaultSubcommand: Serve.self)
}

/// The version of all programs of this package.
enum BatonVersion {
  static let current = "0.1.0"
}

/// Where the settings file is.
struct ConfigOption: ParsableArguments {
  @Option(help: "The settings file (JSON).")
  var config: String

  func read() throws -> Settings { try Settings.read(config) }
}

extension Batond {
  struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Bring the database's schema up to date.",
      discussion: "Safe to repeat, and to run twice at once. Refuses where an applied file was changed.")

    @OptionGroup var options: ConfigOption
    @Flag(help: "Only show what is applied and what is not.") var status = false

    func run() async throws {
      let settings = try options.read()
      let pool = PostgresPool(settings.database)
      let store = Store(pool)
      let source = MigrationSource.directory(settings.migrations)
      let files =
        status ? try await store.migrationStatus(from: source) : try await store.migrate(from: source)
      for file in files {
        print("\(file.appliedAt.map { "applied \($0)" } ?? "not applied")  \(file.name)")
      }
      await pool.close()
    }
  }

  struct Token: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Tokens: by what right somebody uses the API.", subcommands: [Create.self])

    struct Create: AsyncParsableCommand {
      static let configuration = CommandConfiguration(
        abstract: "Make a token, and print its secret, which is kept nowhere.")

      @OptionGroup var options: ConfigOption
      @Option(help: "Who acts; made if there is no such user.") var user: String
      @Option(help: "In which project; made if there is no such project.") var project: String
      @Option(help: "user, admin or viewer.") var role = "user"

      func validate() throws {
        guard Role(rawValue: role) != nil else {
          throw ValidationError("'\(role)' is no role: say user, admin or viewer")
        }
      }

      func run() async throws {
        let settings = try options.read()
        let pool = PostgresPool(settings.database)
        let store = Store(pool)
        var random = SystemRandomNumberGenerator()
        let secret = "bt_" + (0..<4).map { _ in String(random.next(), radix: 36) }.joined()
        _ = try await store.createToken(
          user: store.ensureUser(user), project: store.ensureProject(project), role: Role(rawValue: role) ?? .viewer,
          secretHash: Harness.hash(secret), by: .admin)
        await pool.close()
        print(secret)
      }
    }
  }

  struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Serve the API and, when it is this process' turn, decide.")

    @OptionGroup var options: ConfigOption

    func run() async throws {
      try await Server(settings: try options.read()).run()
    }
  }
}
