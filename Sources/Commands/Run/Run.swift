import ArgumentParser

/// `baton run`.
struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Runs: the whole history of a job, its curves, whether two are equal; exports and reports.",
    subcommands: [
      RunList.self, RunShow.self, RunMetrics.self, RunExport.self, RunReport.self, RunCompare.self,
      RunVerifyResume.self,
    ])
}
