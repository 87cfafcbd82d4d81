import ArgumentParser
import Foundation
import Glibc
import Lab

/// `baton lab`.
struct LabCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lab",
    abstract: "A whole testbed on this machine: database, store, nodes, server.",
    subcommands: [LabUp.self, LabDown.self, LabStatusShow.self, LabDemo.self, LabWardenRun.self, LabLinksRun.self])
}

/// Which lab is meant.
struct LabOptions: ParsableArguments {
  @Option(
    name: [.customLong("lab")],
    help: ArgumentHelp(
      "Folder of the lab. (default: /var/lib/baton/lab for root, else ~/.local/state/baton/lab)", valueName: "folder"))
  var folder: String?

  /// The folder, absolute.
  var root: String {
    if let folder { return URL(fileURLWithPath: folder).standardizedFileURL.path }
    if geteuid() == 0 { return "/var/lib/baton/lab" }
    let environment = ProcessInfo.processInfo.environment
    let state = environment["XDG_STATE_HOME"] ?? (environment["HOME"] ?? "/tmp") + "/.local/state"
    return state + "/baton/lab"
  }
}

/// Failures of the lab, as this program tells them.
enum LabWork {
  /// Runs `body`, and gives a failure of the lab an exit status.
  static func run<T>(_ body: () async throws -> T) async throws -> T {
    do {
      return try await body()
    } catch let error as LabError {
      throw CommandFailure(status(error.code), error.description)
    }
  }

  /// Ends the lab in `root`.
  static func down(_ root: String) async throws { try await Lab(root: root).down() }

  /// What a failure of the lab means for a script.
  static func status(_ code: LabError.Code) -> ExitStatus {
    switch code {
    case .invalidSettings, .notALab, .unknownNode: .badInput
    case .missingProgram: .configuration
    case .timedOut: .tryLater
    case .notOurs, .unsupported: .denied
    case .programFailed, .systemCall: .internalError
    }
  }
}
