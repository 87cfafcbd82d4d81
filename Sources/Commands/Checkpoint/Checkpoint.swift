import ArgumentParser

/// `baton checkpoint`: with a job alone it asks that to save now.
struct Checkpoint: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint",
    abstract: "Ask a running job to save now, or look after what was saved.",
    discussion: Help.examples(
      "baton checkpoint 17", "baton checkpoint list 17", "baton checkpoint download 42 ./weights"),
    subcommands: [
      CheckpointNow.self, CheckpointList.self, CheckpointShow.self, CheckpointPin.self, CheckpointUnpin.self,
      CheckpointReject.self, CheckpointVerify.self, CheckpointDownload.self, CheckpointPrune.self,
    ],
    defaultSubcommand: CheckpointNow.self)
}
