import ArgumentParser

/// `baton admin`.
struct Admin: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "admin",
    abstract: "For those who run the server.",
    subcommands: [AdminMigrate.self, AdminDoctor.self])
}
