import ArgumentParser
import Lab

/// `baton lab status`.
struct LabStatusShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Say what each part of a lab does.",
    discussion: Help.examples("baton lab status"))

  @OptionGroup var lab: LabOptions

  @Flag(help: "Print it as JSON.")
  var json = false

  func run() async throws {
    let context = Context.current(json: json)
    let lab = Lab(root: lab.root)
    guard lab.exists else {
      throw CommandFailure(.badInput, "there is no lab in \(lab.layout.root): make one with `baton lab up`")
    }
    let status = try await LabWork.run { try lab.status() }
    try context.show(status) { context.table(Self.table(status), empty: "the lab has no part") }
    guard status.parts.allSatisfy({ $0.state == .running }) else { throw CommandFailure(.foundTrouble) }
  }

  /// A status for people.
  static func table(_ status: LabStatus) -> Table {
    var table = Table([.init("PART"), .init("STATE"), .init("DETAIL", wraps: true)])
    for part in status.parts {
      let ink: Ink =
        switch part.state {
        case .running: .green
        case .stopped: .yellow
        case .faulty: .red
        }
      table.add([.init(part.name), .init(part.state.rawValue, ink), .init(part.detail)])
    }
    return table
  }
}
