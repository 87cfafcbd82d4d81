import ArgumentParser

/// `baton-bench`: each subcommand measures one thing side by side with a named peer or limit.
@main
struct BatonBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "baton-bench",
    abstract: "Measure one thing, print a table, write NAME.json.",
    discussion: """
      Each brings up a testbed of its own below --scratch and takes it down again. A goal that is not met is told and \
      written, and is no failure of the program. benchmarks/README.md says what the figures mean.
      """,
    subcommands: [
      DemoBench.self, AdoptBench.self, DeadlineBench.self, LeaseEndBench.self, CheckpointCostBench.self,
      SubmitBench.self, FanoutBench.self, HandoffBench.self, GoodputBench.self, StartupBench.self, MetricsBench.self,
      StagingBench.self, StagingNodesBench.self, VerifyResumeBench.self, ResumeBitwiseBench.self, ReproduceBench.self,
      LaunchersBench.self, StudyBench.self, StepsProgram.self,
    ])
}
