import Glibc

extension LabNode {
  /// Cuts the node's link: from now on no packet comes from it or gets to it, what is under way is lost, and nobody is
  /// told.
  ///
  /// What runs on the node goes on; so do the calls of the lab that need no network, such as `crash` and `revoke`.
  /// `healLink` takes it back; `boot` and `revoke` do not.
  ///
  /// Throws `.unsupported` where the lab's nodes have no links (`LabSettings.network`).
  public func cutLink() throws { try setLink(.cut) }

  /// Has the node's link lose packets by chance and take its time with the others, in both directions alike: a packet
  /// and its answer take twice `delay`.
  ///
  /// A packet between two nodes crosses both their links. What was under way keeps its time. `healLink` takes it back.
  ///
  /// Throws `.unsupported` where the lab's nodes have no links, `.invalidSettings` for a loss beyond 0...100 or a delay
  /// beyond a minute.
  public func impairLink(lossPercent: Double = 0, delay: Duration = .zero) throws {
    guard (0...100).contains(lossPercent), (.zero ... .seconds(60)).contains(delay) else {
      throw LabError(.invalidSettings, "a link cannot lose \(lossPercent) % and take \(delay)")
    }
    try setLink(
      LinkImpairment(
        lossPermille: UInt32((lossPercent * 10).rounded()), delayMicroseconds: UInt32(delay / .microseconds(1))))
  }

  /// Has the node's link work as it should: takes `cutLink` and `impairLink` back.
  public func healLink() throws { try setLink(.none) }

  /// Whether nothing can be heard of the node from outside, however well it is.
  var isCutOff: Bool {
    get throws(LabError) {
      guard try recorded().0.settings.network != nil else { return false }
      return try LinkTable(path: file.layout.links).link(ofNode: try number()).isCut
    }
  }

  /// The command that enters the node's network and then runs `command`; the same command where it has none of its own.
  func onLink(_ command: Command, _ record: LabRecord) throws(LabError) -> Command {
    guard record.settings.network != nil else { return command }
    guard let links = record.links, links.isAlive else {
      throw LabError(.unsupported, "the links of the lab do not run", advice: "bring the lab up again")
    }
    let network = "--net=\(LabLinks.space(ofNode: try number(), links))"
    var entering = command
    entering.executable = try Programs.find("nsenter", package: "util-linux")
    entering.arguments = [network, command.executable] + command.arguments
    return entering
  }

  private func setLink(_ link: LinkImpairment) throws(LabError) {
    guard try recorded().0.settings.network != nil else {
      throw LabError(
        .unsupported, "node \(name) has no link of its own", advice: "make the lab with a network, as root")
    }
    try LinkTable(path: file.layout.links).set(link, node: try number())
  }

  /// Its place in the lab, counted from 1.
  private func number() throws(LabError) -> Int {
    let (record, _) = try recorded()
    return (record.nodes.firstIndex { $0.name == name } ?? 0) + 1
  }
}
