import Domain
import Foundation
import Glibc
import TestKit
import Testing

@testable import Lab

/// Nodes on links of their own, which takes root and /dev/net/tun.
@Suite(.enabled(if: hasLinks, "nodes with links of their own need root and /dev/net/tun"))
struct LinkTests {
  @Test(.timeLimit(.minutes(2))) func nodesAnswerEachAtItsOwnAddressAndReachEachOther() async throws {
    let network = try LabNetwork.free()
    try await LabFixture.withNodes(2, network: network) { lab in
      let places = try lab.nodes.map { try $0.description }
      #expect(places.map(\.address) == [network.address(ofNode: 1), network.address(ofNode: 2)])
      for node in try lab.nodes { #expect(try await node.ssh("hostname").output == "\(node.name)\n") }
      // Their networks hold nothing but their link, and each finds the other.
      let interfaces = try await lab.node("n1").ssh("cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '").output
      #expect(Set(interfaces.split(separator: "\n")) == ["lo", "link0"])
      let greeting = "exec 3<>/dev/tcp/\(places[1].address)/\(places[1].port); head -c 4 <&3"
      #expect(try await lab.node("n1").ssh("bash -c '\(greeting)'").output == "SSH-")
    }
  }

  @Test(.timeLimit(.minutes(2))) func anAnswerTakesTwiceTheDelayOfALink() async throws {
    try await LabFixture.withNodes(2, network: try .free()) { lab in
      let (slow, quick) = (try lab.node("n1"), try lab.node("n2"))
      try slow.impairLink(delay: .milliseconds(100))
      let place = try slow.description
      var greeting: String?
      let took = ContinuousClock().measure {
        greeting = Ports.greeting(place.address, place.port, patience: .seconds(10))
      }
      #expect(greeting?.hasPrefix("SSH-") == true)
      // A connection and what is said on it: there and back, and once more back.
      #expect(took >= .milliseconds(300))
      #expect(try quick.state == .running)
      try slow.healLink()
      #expect(try slow.state == .running)
    }
  }

  @Test(.timeLimit(.minutes(2))) func worksOnWithPacketsLost() async throws {
    try await LabFixture.withNodes(1, network: try .free()) { lab in
      let node = try lab.node("n1")
      try node.impairLink(lossPercent: 5)
      let result = try await node.ssh("head -c 1000000 /dev/zero")
      #expect(result.status == 0 && result.output.utf8.count == 1_000_000)
    }
  }

  @Test(.timeLimit(.minutes(2))) func nothingIsHeardOfANodeThatIsCutOffUntilItsLinkIsHealed() async throws {
    try await LabFixture.withNodes(2, network: try .free()) { lab in
      let (node, other) = (try lab.node("n1"), try lab.node("n2"))
      #expect(try await node.ssh("echo kept >$BATON_NODE_ROOT/data").status == 0)
      let process = try lab.file.read().nodes[0].process
      try node.cutLink()
      #expect(try node.state == .refusing)
      #expect(try other.state == .running)
      #expect(process?.isAlive == true)
      try node.healLink()
      #expect(try await node.ssh("cat $BATON_NODE_ROOT/data").output == "kept\n")
      // The lab itself takes a node away and boots it without its link.
      try node.cutLink()
      try await node.revoke()
      #expect(try node.state == .refusing)
      try node.healLink()
      #expect(try await node.ssh("cat $BATON_NODE_ROOT/data").status == 1)
    }
  }

  @Test(.timeLimit(.minutes(2))) func leavesNoInterfaceBehind() async throws {
    let network = try LabNetwork.free()
    let interface = "/sys/class/net/\(network.interface)"
    var links: ProcessIdentity?
    try await LabFixture.withNodes(1, network: network) { lab in
      links = try lab.file.read().links
      #expect(Files.exists(interface))
    }
    #expect(!Files.exists(interface))
    #expect(links?.isAlive == false)
  }

  @Test(.timeLimit(.minutes(2))) func goesWithTheProcessThatHoldsItsLeash() async throws {
    let network = try LabNetwork.free()
    try await LabFixture.withNodes(1, network: network) { lab in
      let watchdog = try #require(lab.file.read().watchdog)
      let links = try #require(lab.file.read().links)
      Watchdog.letGo(watchdog)
      try await ProcessEnd.wait(watchdog.pid)
      #expect(!links.isAlive)
      #expect(!Files.exists("/sys/class/net/\(network.interface)"))
    }
  }

  @Test(.timeLimit(.minutes(2))) func makesLinksAnewAndBootsTheNodesThatWereOnThem() async throws {
    try await LabFixture.withNodes(1, network: try .free()) { lab in
      let node = try lab.node("n1")
      #expect(try await node.ssh("echo kept >$BATON_NODE_ROOT/data").status == 0)
      try await lab.stopLinks()
      #expect(try node.state == .refusing)
      try await lab.startLinks()
      #expect(try node.state == .down)
      try await node.boot()
      #expect(try await node.ssh("cat $BATON_NODE_ROOT/data").output == "kept\n")
    }
  }

  @Test(.timeLimit(.minutes(2))) func refusesToFailALinkThatIsNotThere() async throws {
    try await LabFixture.withNodes { lab in
      for fault in [{ try $0.cutLink() }, { try $0.healLink() }, { try $0.impairLink(lossPercent: 5) }]
        as [(LabNode) throws -> Void]
      {
        #expect { try fault(try lab.node("n1")) } throws: { ($0 as? LabError)?.code == .unsupported }
      }
    }
  }
}

/// Whether nodes of this machine can have links of their own.
private let hasLinks = isRoot && access("/dev/net/tun", F_OK) == 0
