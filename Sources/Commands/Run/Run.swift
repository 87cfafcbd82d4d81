import ArgumentParser

/// `baton run`.
struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract:
      "Runs: the whole history of a job, its curves, what it is made from, whether two are equal; exports, reports.",
    subcommands: [
      RunList.self, RunShow.self, RunMetrics.self, RunExport.self, RunReport.self, RunCompare.self,
      RunLineageCommand.self, RunReproduce.self, RunVerifyResume.self, RunTag.self, RunNoteCommand.self, RunCode.self,
      RunArtifacts.self,
    ])
}
