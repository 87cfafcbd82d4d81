import FoundationEssentials
import Glibc
import ReferenceTrainer

/// `baton-train`: see `--help`.
@main
struct Main {
  static func main() {
    let process = ProcessInfo.processInfo
    exit(
      TrainerProgram.run(
        arguments: Array(CommandLine.arguments.dropFirst()), environment: process.environment))
  }
}
