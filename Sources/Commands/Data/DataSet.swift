import ArgumentParser

/// `baton data`.
struct DataSet: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data",
    abstract: "Data sets: named, versioned, checked by hash, local before a job starts.",
    subcommands: [
      DataAdd.self, DataList.self, DataShow.self, DataLineage.self, DataPack.self, DataStage.self, DataVerify.self,
      DataEvict.self,
    ])
}
