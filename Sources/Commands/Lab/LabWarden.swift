import ArgumentParser
import Lab

/// `baton lab warden`: the process of a lab that takes nodes away when their lease ends.
struct LabWardenRun: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "warden", abstract: "Take the lab's nodes away when their leases end. Started by `lab up`.",
    shouldDisplay: false)

  @OptionGroup var lab: LabOptions

  func run() async throws {
    try await LabWork.run { try await LabWarden(Lab(root: lab.root)).run() }
  }
}
