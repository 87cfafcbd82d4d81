import ArgumentParser
import Glibc

/// `baton admin migrate`.
struct AdminMigrate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrate",
    abstract: "Bring the database to the layout that this version needs.",
    discussion: "Runs `batond migrate`: the server's settings name the database.\n\n"
      + Help.examples("baton admin migrate --config /etc/baton/batond.json"))

  @Option(help: ArgumentHelp("The server's settings.", valueName: "file"), completion: .file(extensions: ["json"]))
  var config: String

  func run() async throws {
    let program = try OwnPrograms.path(of: "batond")
    // Taking this process's place leaves terminal, signals and exit status to it.
    let arguments = [program, "migrate", "--config", config]
    var pointers = arguments.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    execv(program, &pointers)
    throw CommandFailure(.configuration, "cannot run \(program) (\(String(cString: strerror(errno))))")
  }
}
