import ArgumentParser

/// `baton lease`.
struct Lease: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lease",
    abstract: "Get nodes for a while, and give them back.",
    subcommands: [
      LeaseCreate.self, LeaseList.self, LeaseShow.self, LeaseExtend.self, LeaseDrill.self, LeaseDelete.self,
    ])
}
