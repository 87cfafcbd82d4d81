import Domain
import Foundation
import ObjectStorage
import Testing
import Wire

private enum Podman {
  static let stockRoot = ProcessInfo.processInfo.environment["BATON_TEST_ROOTFS"] ?? ""
  static let isThere =
    geteuid() == 0 && !stockRoot.isEmpty && FileManager.default.isExecutableFile(atPath: "/usr/bin/podman")
}

/// Ranks in real containers: Debian's `podman`, `crun` and `catatonit`, with the root file system of a stock node as image.
@Suite(
  .timeLimit(.minutes(2)),
  .enabled(
    if: Podman.isThere, "not tried in real containers: that takes root, podman and BATON_TEST_ROOTFS (`make test`)"))
struct PodmanTests {
  /// `podman`, so that it does here what it does on nodes: with images of its own, on a machine whose control groups may
  /// be of the first kind and which may not allow root to raise its limits.
  private static func podman(_ storage: String, _ state: String) -> String {
    """
    #!/bin/bash
    words=()
    while [ $# -gt 0 ]; do
      case "$1 ${2-}" in
        "run "*) words+=(run --cgroups=disabled); shift;;
        "--ulimit host") words+=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024); shift 2;;
        *) words+=("$1"); shift;;
      esac
    done
    exec unshare --mount bash -c '
      mount --make-rprivate /
      umount -R /sys/fs/cgroup
      mount -t cgroup2 none /sys/fs/cgroup
      exec /usr/bin/podman --root \(storage)/images --runroot \(state) --cgroup-manager cgroupfs "$@"
      ' podman "${words[@]}"
    """
  }

  /// A folder with `podman`, and the image `localhost/trainer:1`, whose program is `script`.
  private func prepare(_ fixture: AgentFixture, _ script: String) async throws -> String {
    let bin = fixture.scratch + "/bin"
    let root = fixture.scratch + "/root"
    try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
    // Its length is limited to 50 characters: a name as that of the scratch folder, is too long.
    let state = "/tmp/pod-\(fixture.scratch.suffix(12))"
    fixture.removesToo.append(state)
    try Data(Self.podman(fixture.scratch, state).utf8).write(to: URL(fileURLWithPath: bin + "/podman"))
    chmod(bin + "/podman", 0o755)
    let words = """
      cp -a "$1" "$2" && cat > "$2/train.sh" && tar -C "$2" -c . | "$3/podman" import --quiet - localhost/trainer:1
      """
    let result = try await AgentProcess.run(
      program: ["/bin/bash", "-o", "pipefail", "-c", words, "bash", Podman.stockRoot, root, bin],
      input: Data(script.utf8))
    try #require(result.code == 0, "\(result.errors)")
    return bin
  }

  /// An order to run `script` in the image.
  private func order(
    _ fixture: AgentFixture, _ script: String, image: String = "localhost/trainer:1", grace: Double = 20
  ) async throws -> AttemptOrder {
    let bin = try await prepare(fixture, script)
    var order = try fixture.order("", grace: grace)
    order.command = ["/bin/bash", "/train.sh"]
    order.environment = ["PATH": bin + ":/usr/bin:/bin", "API_TOKEN": "as it is outside"]
    order.container = ContainerSpec(image: image, runtime: .podman)
    return order
  }

  @Test func programsInContainersAreAskedSaveAndLeave() async throws {
    try await AgentFixture.with { fixture in
      let script =
        Script.save
        + "trap 'save 3; echo kept > $BATON_ARTIFACTS_DIR/a' USR1; trap 'echo left $RANK $API_TOKEN in $(pwd); exit 85' TERM"
        + Script.wait
      let node = fixture.node()
      let order = try await order(fixture, script)
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      let isTaken = { (event: AgentEvent) in if case .environment = event { true } else { false } }
      if !follower.events.contains(where: isTaken) { try await follower.event(isTaken) }
      try #expect(await node.control(order.attempt, .checkpoint) == .ok)
      try await follower.event { if case .checkpointStored(let stored) = $0 { stored.step == 3 } else { false } }
      try #expect(await node.control(order.attempt, .stop(.leaseEnd)) == .ok)
      let outcome = try await follower.outcome()
      #expect(outcome.exits == [.init(rank: 0, code: 85, signal: nil, wasTold: true)])
      let environments = follower.events.compactMap { if case .environment(let found) = $0 { found } else { nil } }
      #expect(environments.first?.facts["image-id"]?.count == 64, "what the image was is kept, and not only its name")
      let left = "ready\nleft 0 as it is outside in \(node.folder())/work\n"
      #expect(try fixture.text(node.folder() + "/logs/rank-0.log") == left)
      let record = ObjectLayout.attemptRecord(run: RunID(3), number: 1, nodeRank: 0)
      #expect(try await fixture.store.head(ObjectLayout.artifact(record: record, path: "a")) != nil)
    }
  }

  @Test func whoIgnoresToBeToldIsKilledWithItsContainer() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let order = try await order(fixture, "trap '' TERM" + Script.wait, grace: 0.5)
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      let first = try #require(
        pid_t(try fixture.text(node.folder() + "/container-0.pid").trimmingCharacters(in: .whitespacesAndNewlines)))
      #expect(isRunning(first))
      try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok)
      let outcome = try await follower.outcome()
      #expect(outcome.exits.map(\.wasTold) == [true])
      #expect(!isRunning(first))
    }
  }

  @Test func theLastWordsOfWhoFailsComeOutOfTheContainer() async throws {
    try await AgentFixture.with { fixture in
      let order = try await order(fixture, "echo no such layer >&2; exit 3")
      let (outcome, _) = try await fixture.run(order, on: fixture.node())
      #expect(outcome.exits == [.init(rank: 0, code: 3, signal: nil, wasTold: false, lastWords: "no such layer")])
    }
  }

  @Test func saysThatThereIsNoSuchImage() async throws {
    try await AgentFixture.with { fixture in
      let order = try await order(fixture, "", image: "localhost/trainer:2")
      let (outcome, _) = try await fixture.run(order, on: fixture.node())
      #expect(outcome.exits.map(\.code) == [125])
      #expect(outcome.exits.first?.lastWords?.contains("localhost/trainer:2") == true)
    }
  }
}
