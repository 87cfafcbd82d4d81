import ArgumentParser
import Lab

/// `baton lab links`: the process of a lab that is the network between its nodes and the machine.
struct LabLinksRun: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "links", abstract: "Carry packets between the lab's nodes. Started by labs whose links can fail.",
    shouldDisplay: false)

  @OptionGroup var lab: LabOptions

  func run() async throws {
    try await LabWork.run { try await LabLinks(Lab(root: lab.root)).run() }
  }
}
