import ArgumentParser
import Domain
import Foundation
import ObjectStorage
import Postgres
import Store

extension Batond {
  struct Key: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The key that seals credentials in the database.", subcommands: [Create.self])

    struct Create: AsyncParsableCommand {
      static let configuration = CommandConfiguration(
        abstract: "Make a key, in the file that object_store_key names.",
        discussion: """
          Keep a copy of the file where the database's backups are not: both together open the object store. Every \
          batond on this database needs the same key.
          """)

      @OptionGroup var options: ConfigOption

      func run() async throws {
        let settings = try options.read()
        guard let path = settings.objectStoreKey else {
          throw SettingsError(
            path: options.config,
            problem: "\(Settings.CodingKeys.objectStoreKey.rawValue) is missing: name the file that is to have the key")
        }
        let key = SealingKey()
        try key.write(path)
        print("key \(key.id) in \(path)")
      }
    }
  }

  struct Credentials: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "What opens the object store: sealed in the database.",
      subcommands: [Set.self, Show.self, Reseal.self, Remove.self])

    struct Set: AsyncParsableCommand {
      static let configuration = CommandConfiguration(
        abstract: "Seal credentials and keep them, in the place of those that were.",
        discussion: """
          Reads one of the forms in docs/configuration.md, tries them on the store, and changes nothing where they do \
          not open it. A batond that runs has to be started again to use them.

          Examples:
            batond credentials set --config batond.json < credentials.json
            batond credentials set --config batond.json --file /root/credentials.json
          """)

      @OptionGroup var options: ConfigOption
      @Option(help: "A file that only its owner can read; - is standard input.") var file = "-"
      @Flag(help: "Do not ask the store whether they are right.") var unchecked = false

      func run() async throws {
        let settings = try options.read()
        let credentials = try CredentialsFile.read(file)
        let location = try ObjectStoreLocation(settings.objectStore)
        let objects = try settings.open(location, credentials)
        if !unchecked { try await check(objects, location) }
        let key = try settings.sealingKey()
        let sealed = try key.seal(credentials, for: Settings.siteStore)
        try await settings.withStore { try await $0.setCredentials(Settings.siteStore, sealed, by: .admin) }
        print("\(credentials): sealed with the key \(key.id)")
      }

      /// Lists, writes and deletes, as the daemon will.
      private func check(_ objects: any ObjectStore, _ location: ObjectStoreLocation) async throws {
        let key = "credentials-check"
        do throws(ObjectStoreError) {
          _ = try await objects.list(prefix: key, after: nil, limit: 1)
          _ = try await objects.put(key, from: .bytes([]), sha256: nil, replacing: true)
          try await objects.delete(key)
        } catch {
          throw SettingsError(
            path: file == "-" ? "standard input" : file,
            problem: "they do not open \(location): \(error); nothing was changed (--unchecked keeps them all the same)"
          )
        }
      }
    }

    struct Show: AsyncParsableCommand {
      static let configuration = CommandConfiguration(
        abstract: "Say whose credentials there are, not what they are.")

      @OptionGroup var options: ConfigOption

      func run() async throws {
        let settings = try options.read()
        guard let record = try await settings.withStore({ try await $0.credentials(Settings.siteStore) }) else {
          print("there are none")
          return
        }
        let credentials = try settings.sealingKey().open(record.credentials, for: Settings.siteStore)
        print("\(credentials)")
        print("sealed with the key \(record.credentials.keyID) by \(record.setBy) on \(record.setAt)")
      }
    }

    struct Reseal: AsyncParsableCommand {
      static let configuration = CommandConfiguration(
        abstract: "Seal the credentials with a new key.",
        discussion: """
          Move the old key's file away, make a new one with batond key create, and:
            batond credentials reseal --config batond.json --old-key old.key
          """)

      @OptionGroup var options: ConfigOption
      @Option(help: "The file with the key that they are sealed with now.") var oldKey: String

      func run() async throws {
        let settings = try options.read()
        let old = try SealingKey.read(oldKey), new = try settings.sealingKey()
        try await settings.withStore { store in
          guard let record = try await store.credentials(Settings.siteStore) else {
            throw ValidationError("there are no credentials to seal again: batond credentials set")
          }
          let credentials = try old.open(record.credentials, for: Settings.siteStore)
          try await store.setCredentials(
            Settings.siteStore, new.seal(credentials, for: Settings.siteStore), by: .admin)
        }
        print("sealed with the key \(new.id)")
      }
    }

    struct Remove: AsyncParsableCommand {
      static let configuration = CommandConfiguration(abstract: "Forget the credentials.")

      @OptionGroup var options: ConfigOption

      func run() async throws {
        let result = try await options.read().withStore {
          try await $0.removeCredentials(Settings.siteStore, by: .admin)
        }
        print(result.isStale ? "there were none" : "forgotten")
      }
    }
  }
}

extension Settings {
  /// Runs `body` with the database, and closes it.
  fileprivate func withStore<Result>(_ body: (Store) async throws -> Result) async throws -> Result {
    let pool = PostgresPool(database)
    do {
      let result = try await body(Store(pool))
      await pool.close()
      return result
    } catch {
      await pool.close()
      throw error
    }
  }
}
