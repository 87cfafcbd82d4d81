import ArgumentParser

/// `baton run`.
struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Runs: the whole history of a job, its curve, and whether two are equal.",
    subcommands: [RunList.self, RunShow.self, RunCompare.self, RunVerifyResume.self])
}
