import Domain
import Foundation
import ObjectStorage
import Testing
import Wire

/// A runtime that is really there, and the root file system of a stock node as image.
private enum Runtime: String, CaseIterable, CustomTestStringConvertible {
  case podman
  case apptainer

  private static let stockRoot = ProcessInfo.processInfo.environment["BATON_TEST_ROOTFS"] ?? ""
  /// The root file system of a Debian that has `apptainer`: `scripts/apptainer-root.sh`.
  private static let apptainerRoot = ProcessInfo.processInfo.environment["BATON_TEST_APPTAINER"] ?? ""

  static let areThere = allCases.filter(\.isThere)
  static let advice: Comment =
    "not tried in real containers: that takes root, BATON_TEST_ROOTFS, and podman or BATON_TEST_APPTAINER (`make test`)"

  var testDescription: String { rawValue }

  private var isThere: Bool {
    let program =
      switch self {
      case .podman: "/usr/bin/podman"
      case .apptainer: Self.apptainerRoot + "/usr/bin/apptainer"
      }
    return geteuid() == 0 && !Self.stockRoot.isEmpty && FileManager.default.isExecutableFile(atPath: program)
  }

  /// The runtime as it is called on nodes, and does here what it does there.
  private func program(_ scratch: String, _ state: String) -> String {
    switch self {
    case .podman:
      // With images of its own, on a machine whose control groups may be of the first kind and which may not allow
      // root to raise its limits.
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
        exec /usr/bin/podman --root \(scratch)/images --runroot \(state) --cgroup-manager cgroupfs "$@"
        ' podman "${words[@]}"
      """
    case .apptainer:
      // In the root file system that has it, with all of this machine that is not a system's own.
      """
      #!/bin/bash
      exec unshare --mount bash -e -c '
        mount --make-rprivate /
        root=\(Self.apptainerRoot)
        mount --rbind "$root" "$root"
        for folder in /*; do
          case $folder in /bin|/sbin|/lib*|/usr|/etc|/var|/mnt) continue;; esac
          [ -d "$folder" ] && [ ! -L "$folder" ] || continue
          mkdir -p "$root$folder"
          mount --rbind "$folder" "$root$folder"
        done
        cd "$root"
        /usr/sbin/pivot_root . mnt
        cd "$0"
        exec /usr/bin/apptainer "$@"
        ' "$PWD" "$@"
      """
    }
  }

  /// Makes an image of the folder `$2` with the runtime `$3`.
  private var making: String {
    switch self {
    case .podman: #"tar -C "$2" -c . | "$3/podman" import --quiet - localhost/trainer:1"#
    case .apptainer: #""$3/apptainer" --quiet build "$2.sif" "$2""#
    }
  }

  /// A folder with the runtime, and an image of which `/train.sh` is `script`.
  func prepare(_ fixture: AgentFixture, _ script: String) async throws -> (bin: String, image: String) {
    let bin = fixture.scratch + "/bin"
    let root = fixture.scratch + "/root"
    try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
    // The length of podman's is limited to 50 characters: a name as that of the scratch folder is too long.
    let state = "/tmp/pod-\(fixture.scratch.suffix(12))"
    if self == .podman { fixture.removesToo.append(state) }
    try Data(program(fixture.scratch, state).utf8).write(to: URL(fileURLWithPath: "\(bin)/\(rawValue)"))
    chmod("\(bin)/\(rawValue)", 0o755)
    let words = """
      cp -a "$1" "$2" && cat > "$2/train.sh" && ln -s bash "$2/bin/sh" &&
      echo root:x:0:0:root:/root:/bin/sh > "$2/etc/passwd" && echo root:x:0: > "$2/etc/group" && \(making)
      """
    let result = try await AgentProcess.run(
      program: ["/bin/bash", "-o", "pipefail", "-c", words, "bash", Self.stockRoot, root, bin],
      input: Data(script.utf8))
    try #require(result.code == 0, "\(result.errors)")
    return (bin, self == .podman ? "localhost/trainer:1" : root + ".sif")
  }

  /// An image that is not there.
  func missing(_ fixture: AgentFixture) -> String {
    self == .podman ? "localhost/trainer:2" : fixture.scratch + "/other.sif"
  }
}

/// Ranks in real containers: of Debian's `podman`, `crun` and `catatonit`, and of Apptainer.
@Suite(.timeLimit(.minutes(2)), .enabled(if: !Runtime.areThere.isEmpty, Runtime.advice))
struct RealContainerTests {
  /// An order to run `script` in the image.
  private func order(
    _ fixture: AgentFixture, _ runtime: Runtime, _ script: String, grace: Double = 20
  ) async throws -> AttemptOrder {
    let (bin, image) = try await runtime.prepare(fixture, script)
    var order = try fixture.order("", grace: grace)
    order.command = ["/bin/bash", "/train.sh"]
    order.environment = ["PATH": bin + ":/usr/bin:/bin", "API_TOKEN": "as it is outside"]
    order.container = ContainerSpec(image: image, runtime: runtime == .podman ? .podman : .apptainer)
    return order
  }

  @Test(arguments: Runtime.areThere)
  fileprivate func programsInContainersAreAskedSaveAndLeave(_ runtime: Runtime) async throws {
    try await AgentFixture.with { fixture in
      let script =
        Script.save
        + "trap 'save 3; echo kept > $BATON_ARTIFACTS_DIR/a' USR1; trap 'echo left $RANK $API_TOKEN in $(pwd); exit 85' TERM"
        + Script.wait
      let node = fixture.node()
      let order = try await order(fixture, runtime, script)
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
      let facts = environments.first?.facts ?? [:]
      switch runtime {
      case .podman: #expect(facts["image-id"]?.count == 64, "what the image was is kept, and not only its name")
      case .apptainer:
        let image = try Data(contentsOf: URL(fileURLWithPath: try #require(order.container?.image)))
        #expect(facts["image-sha256"] == ContentHash.of(Array(image)))
      }
      let left = "ready\nleft 0 as it is outside in \(node.folder())/work\n"
      #expect(try fixture.text(node.folder() + "/logs/rank-0.log") == left)
      let record = ObjectLayout.attemptRecord(run: RunID(3), number: 1, nodeRank: 0)
      #expect(try await fixture.store.head(ObjectLayout.artifact(record: record, path: "a")) != nil)
    }
  }

  @Test(arguments: Runtime.areThere)
  fileprivate func whoIgnoresToBeToldIsKilledWithItsContainer(_ runtime: Runtime) async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let order = try await order(fixture, runtime, "echo $$ > pid; trap '' TERM" + Script.wait, grace: 0.5)
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      // In podman's it has another number.
      let file = runtime == .podman ? "/container-0.pid" : "/work/pid"
      let first = try #require(
        pid_t(try fixture.text(node.folder() + file).trimmingCharacters(in: .whitespacesAndNewlines)))
      #expect(isRunning(first))
      try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok)
      let outcome = try await follower.outcome()
      #expect(outcome.exits.map(\.wasTold) == [true])
      #expect(!isRunning(first))
    }
  }

  @Test(arguments: Runtime.areThere)
  fileprivate func theLastWordsOfWhoFailsComeOutOfTheContainer(_ runtime: Runtime) async throws {
    try await AgentFixture.with { fixture in
      let order = try await order(fixture, runtime, "echo no such layer >&2; exit 3")
      let (outcome, _) = try await fixture.run(order, on: fixture.node())
      #expect(outcome.exits == [.init(rank: 0, code: 3, signal: nil, wasTold: false, lastWords: "no such layer")])
    }
  }

  @Test(arguments: Runtime.areThere)
  fileprivate func saysThatThereIsNoSuchImage(_ runtime: Runtime) async throws {
    try await AgentFixture.with { fixture in
      var order = try await order(fixture, runtime, "")
      let missing = runtime.missing(fixture)
      order.container?.image = missing
      let (outcome, _) = try await fixture.run(order, on: fixture.node())
      #expect(outcome.exits.map(\.code) == [runtime == .podman ? 125 : 255])
      #expect(outcome.exits.first?.lastWords?.contains(missing) == true, "\(outcome)")
    }
  }
}
