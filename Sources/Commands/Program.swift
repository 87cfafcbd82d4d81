import APIClient
import ArgumentParser
import Foundation

/// `baton`.
struct Baton: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "baton",
    abstract: "Batch jobs that outlive their leases.",
    discussion: Help.examples(
      "baton lease create week --nodes 2 --duration 7d",
      "baton data add mnist ./mnist",
      "baton submit train.yaml && baton queue",
      "baton run show 17")
      + "\n\nCompletion for a shell: baton --generate-completion-script bash > /etc/bash_completion.d/baton"
      + "\nExit statuses: baton help exit-codes",
    version: "0.1.0",
    groupedSubcommands: [
      CommandGroup(
        name: "Daily",
        subcommands: [Submit.self, Queue.self, Explain.self, Cancel.self, Logs.self, Checkpoint.self]),
      CommandGroup(name: "Things", subcommands: [Lease.self, Node.self, DataSet.self, Job.self, Run.self, Study.self]),
      CommandGroup(name: "Short forms", subcommands: [Leases.self, Nodes.self]),
      CommandGroup(
        name: "Operation",
        subcommands: [Sweep.self, Events.self, Admin.self, LabCommand.self, ExitCodes.self]),
    ])
}

/// `baton help exit-codes`.
struct ExitCodes: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exit-codes", abstract: "What each exit status means.", discussion: ExitStatus.table)

  func run() { Console.current(environment: ProcessInfo.processInfo.environment).out(ExitStatus.table) }
}

/// The command line of `baton`.
public enum BatonProgram {
  /// Does what the arguments of this process say, and ends it.
  public static func main() async -> Never {
    do {
      var command = try Baton.parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      exit(ExitStatus.success.rawValue)
    } catch {
      let (status, message) = outcome(of: error)
      guard let status else {
        guard Baton.exitCode(for: error).rawValue == ExitStatus.usage.rawValue,
          let suggestion = Suggestion.message(for: Array(CommandLine.arguments.dropFirst()))
        else { Baton.exit(withError: error) }
        Console.current(environment: [:]).note("baton: " + suggestion)
        exit(ExitStatus.usage.rawValue)
      }
      let console = Console.current(environment: ProcessInfo.processInfo.environment)
      let width = console.errorIsTerminal ? console.width : nil
      if !message.isEmpty { console.note(Prose.wrapped("baton: " + message, width: width)) }
      exit(status.rawValue)
    }
  }

  /// The exit status and the words for an error; no status where ArgumentParser knows both.
  static func outcome(of error: any Error) -> (ExitStatus?, String) {
    switch error {
    case let failure as CommandFailure: (failure.status, failure.message)
    case let failure as ClientFailure: (ExitStatus(failure), failure.description)
    case is CancellationError: (.tryLater, "interrupted")
    default: (nil, "")
    }
  }
}
