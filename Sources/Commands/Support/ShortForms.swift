import ArgumentParser

/// `baton queue`: `baton job list`.
struct Queue: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "queue", abstract: "List jobs that are not over.", discussion: JobList.configuration.discussion,
    aliases: ["ps", "squeue", "stat", "q", "jobs"])

  @OptionGroup var list: JobList

  func run() async throws { try await list.run() }
}

/// `baton leases`: `baton lease list`.
struct Leases: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "leases", abstract: "List leases that are not over.", discussion: LeaseList.configuration.discussion)

  @OptionGroup var list: LeaseList

  func run() async throws { try await list.run() }
}

/// `baton nodes`: `baton node list`.
struct Nodes: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nodes", abstract: "List the machines.", discussion: NodeList.configuration.discussion,
    aliases: ["sinfo"])

  @OptionGroup var list: NodeList

  func run() async throws { try await list.run() }
}
