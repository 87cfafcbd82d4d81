import ArgumentParser

/// `baton job`.
struct Job: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "job",
    abstract: "Jobs: submit, look at, steer.",
    subcommands: [
      Submit.self, JobList.self, JobGroups.self, JobShow.self, Explain.self, Cancel.self, Logs.self, Checkpoint.self,
      Hold.self,
      Release.self,
    ])
}
