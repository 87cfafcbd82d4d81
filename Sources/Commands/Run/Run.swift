import ArgumentParser

/// `baton run`.
struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Runs: the whole history of a job, its curves, and whether two are equal.",
    subcommands: [RunList.self, RunShow.self, RunMetrics.self, RunCompare.self, RunVerifyResume.self])
}
