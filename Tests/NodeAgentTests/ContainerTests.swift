import Domain
import Foundation
import Testing
import Wire

@testable import NodeAgent

/// Ranks in an image, with a stand-in for `podman` that starts the program as the real one's helpers do: not below itself.
@Suite(.timeLimit(.minutes(2)))
struct ContainerAgentTests {
  private static let podman = """
    #!/bin/bash
    # Stand-in for podman.
    if [ "$1" = image ]; then
      [ "$*" = "image inspect --format {{.ID}} {{.Digest}} quay.io/a/b:1" ] || exit 125
      echo "$(printf '%064d' 7) sha256:$(printf '%064d' 8)"
      exit
    fi
    shift # run
    while [ $# -gt 0 ]; do
      case "$1" in
        --pidfile) file=$2; shift 2;;
        --volume|--env|--network|--ipc|--ulimit|--security-opt|--log-driver|--device|--entrypoint) shift 2;;
        --workdir) cd "$2"; shift 2;;
        --*) shift;;
        *) image=$1; shift; break;;
      esac
    done
    echo "$image" > image
    (setsid "$@" & echo $! > "$file")
    trap '' USR1 TERM
    pid=$(cat "$file")
    tail --pid=$pid -f /dev/null
    exit 85
    """

  /// A handler of the runtime's own is not the program's.
  @Test func getSignalsInTheContainer() async throws {
    try await AgentFixture.with { fixture in
      let bin = fixture.scratch + "/bin"
      try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
      try Data(Self.podman.utf8).write(to: URL(fileURLWithPath: bin + "/podman"))
      chmod(bin + "/podman", 0o755)
      let node = fixture.node()
      var order = try fixture.order(
        Script.save + "trap 'save 3' USR1; trap 'echo left; exit 85' TERM" + Script.wait)
      order.environment["PATH"] = bin + ":/usr/bin:/bin"
      order.container = ContainerSpec(image: "quay.io/a/b:1", runtime: .podman)
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      try #expect(await node.control(order.attempt, .checkpoint) == .ok)
      try await follower.event { if case .checkpointLocal(3, _) = $0 { true } else { false } }
      let isTaken = { (event: AgentEvent) in if case .environment = event { true } else { false } }
      if !follower.events.contains(where: isTaken) { _ = try await follower.event(isTaken) }
      let taken = follower.events.compactMap { if case .environment(let found) = $0 { found } else { nil } }
      let found = try #require(taken.first)
      #expect(found.facts["image"] == "quay.io/a/b:1")
      #expect(found.facts["image-id"]?.hasSuffix("07") == true && found.facts["image-id"]?.count == 64)
      #expect(found.facts["image-digest"]?.hasPrefix("sha256:000") == true)
      #expect(found.facts["python"] == nil, "the node's own says nothing of the image's")
      try #expect(await node.control(order.attempt, .stop(.leaseEnd)) == .ok)
      let outcome = try await follower.outcome()
      #expect(outcome.exits == [.init(rank: 0, code: 85, signal: nil, wasTold: true)])
      #expect(try fixture.text(node.folder() + "/logs/rank-0.log") == "ready\nleft\n")
      #expect(try fixture.text(node.folder() + "/work/image") == "quay.io/a/b:1\n")
    }
  }

  @Test func readsWhatPodmanTellsOfAnImage() {
    let id = String(repeating: "a", count: 64)
    #expect(Inventory.podmanImage("\(id) sha256:12\n") == ["image-id": id, "image-digest": "sha256:12"])
    #expect(Inventory.podmanImage("\(id) \n") == ["image-id": id])
    #expect(Inventory.podmanImage("Error: no such image") == [:])
    #expect(Inventory.podmanImage("") == [:])
  }
}
