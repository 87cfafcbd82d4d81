import Domain
import Foundation
import Glibc
import ObjectStorage
import TestKit
import Testing
import Wire

@testable import NodeAgent

@Suite(.timeLimit(.minutes(2)))
struct FolderWatchTests {
  /// What is told of steps that a program makes one after the other.
  private static func told(asksKernel: Bool, _ steps: [(String) throws -> Void]) throws -> [[String: UInt32]] {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("baton-watch-\(UUID().uuidString)").path
    try Disk.makeFolders(folder)
    defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: folder) } }
    let watch = try FolderWatch(asksKernel: asksKernel)
    _ = try watch.add(
      folder, Int32(IN_CREATE), Int32(IN_MOVED_TO), Int32(IN_DELETE), Int32(IN_CLOSE_WRITE),
      Int32(bitPattern: UInt32(IN_ONLYDIR)))
    return try steps.map { step in
      try step(folder)
      #expect(waitReadable([watch.descriptor], until: .now() + .seconds(60)) == [true])
      return watch.changes().reduce(into: [:]) { $0[$1.name, default: 0] |= $1.mask & 0xffff }
    }
  }

  private static func make(_ name: String) -> (String) throws -> Void {
    { try Disk.makeFolders("\($0)/\(name)") }
  }

  private static func rename(_ old: String, _ new: String) -> (String) throws -> Void {
    { #expect(Glibc.rename("\($0)/\(old)", "\($0)/\(new)") == 0) }
  }

  private static func write(_ name: String, _ text: String) -> (String) throws -> Void {
    {
      let path = "\($0)/\(name)"
      let file = try Disk.open(path, O_WRONLY | O_CREAT)
      try Disk.write(Array(text.utf8), to: file, path: path)
    }
  }

  @Test(arguments: [true, false]) func tellsWhatWasMadeFromWhatWasRenamed(asksKernel: Bool) throws {
    let told = try Self.told(
      asksKernel: asksKernel,
      [
        Self.make("step-1"), Self.make("step-2.tmp"), Self.rename("step-2.tmp", "step-2"), Self.write("a", "one"),
        Self.write("a", "two!"), { #expect(unlink("\($0)/a") == 0) },
      ])
    #expect(told[0] == ["step-1": UInt32(IN_CREATE)])
    #expect(told[1] == ["step-2.tmp": UInt32(IN_CREATE)])
    #expect(told[2]["step-2"] == UInt32(IN_MOVED_TO))
    #expect(told[3]["a"].map { $0 & UInt32(IN_CREATE) } == UInt32(IN_CREATE))
    #expect(told[4] == ["a": UInt32(IN_CLOSE_WRITE)])
    #expect(told[5] == ["a": UInt32(IN_DELETE)])
  }

  @Test(arguments: [true, false]) func saysThatWhatItWatchesIsGone(asksKernel: Bool) throws {
    let told = try Self.told(
      asksKernel: asksKernel,
      [
        { folder in
          // The old one is kept until there is a new one, which would get its number otherwise.
          #expect(Glibc.rename(folder, "\(folder)-old") == 0)
          #expect(mkdir(folder, 0o700) == 0 && rmdir("\(folder)-old") == 0)
        }
      ])
    #expect(told == [["": UInt32(IN_IGNORED)]])
  }

  /// A kernel that gives nothing, or room for a few watches: as where other programs took all of them.
  static let shortages = ["max_inotify_instances=0", "max_inotify_watches=1"]

  private static func under(_ shortage: String) -> [String] {
    let parts = shortage.split(separator: "=")
    let script = "echo \(parts[1]) > /proc/sys/user/\(parts[0]) && exec \"$@\""
    return ["/usr/bin/unshare", "--user", "--map-root-user", "--", "/bin/sh", "-c", script, "sh"]
  }

  static let hasUserNamespaces: Bool = {
    guard let pid = try? Process.run(URL(fileURLWithPath: "/usr/bin/unshare"), arguments: ["--user", "true"]) else {
      return false
    }
    pid.waitUntilExit()
    return pid.terminationStatus == 0
  }()

  @Test(.enabled(if: hasUserNamespaces, "this kernel lets nobody make a user namespace"), arguments: shortages)
  func storesCheckpointsWhereTheKernelTellsNothing(shortage: String) async throws {
    try await AgentFixture.with { fixture in
      let script = Script.save + "n=0; trap 'n=$((n+1)); save $n; [ $n = 2 ] && exit 0' USR1" + Script.wait
      let node = fixture.node(under: Self.under(shortage))
      let order = try fixture.order(script)
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      for step in 1...2 {
        try #expect(await node.control(order.attempt, .checkpoint) == .ok)
        try await follower.event { if case .checkpointStored(let stored) = $0 { stored.step == step } else { false } }
      }
      #expect(try await follower.outcome().exits.map(\.code) == [0])
    }
  }

  @Test(.enabled(if: hasUserNamespaces, "this kernel lets nobody make a user namespace"))
  func takesNoFolderThatIsStillWrittenForOneThatWasRenamed() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        s=$BATON_CHECKPOINT_DIR/step-5; mkdir $s
        for part in {1..20000}; do echo $part >> $s/w; done
        """
      let node = fixture.node(under: Self.under(Self.shortages[0]))
      let (_, follower) = try await fixture.run(try fixture.order(script), on: node)
      #expect(follower.stored.isEmpty)
    }
  }
}
