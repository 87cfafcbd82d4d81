import Domain
import Foundation
import ObjectStorage
import Testing
import Wire

@testable import NodeAgent

/// Which environments make room, and which stay.
@Suite(.timeLimit(.minutes(2)))
struct EnvironmentTests {
  /// An environment of 40 KiB that was used at `second`.
  private func make(_ key: String, on node: NodeFolder, used second: Int) throws {
    let environments = Environments(node: node)
    try Disk.makeFolders(environments.path(key))
    try Disk.writeAtomically([UInt8](repeating: 7, count: 40_960), to: environments.path(key) + "/python")
    try Disk.writeAtomically(Array("{}\n".utf8), to: environments.stamp(key))
    try environments.use(key, ByteCount(40_960))
    var times = [timeval(tv_sec: second, tv_usec: 0), timeval(tv_sec: second, tv_usec: 0)]
    #expect(utimes(environments.path(key) + ".used", &times) == 0)
  }

  /// A living attempt that uses an environment.
  private func use(_ key: String, on node: NodeFolder, by attempt: Int64) throws {
    let folder = node.attempt(AttemptID(attempt))
    try Disk.makeFolders(folder.path)
    #expect(symlink(Environments(node: node).path(key), folder.environment) == 0)
  }

  private func stager(
    _ fixture: StagingFixture, _ node: NodeFolder, reserve: Int64, _ news: News
  ) -> Stager {
    var stager = Stager(
      wishes: .init(datasets: [], reserve: ByteCount(reserve)), node: node, store: fixture.store
    ) { news.add($0) }
    // A disk with room for four, and nothing beside them.
    stager.room = { root in
      let there = ["a", "b", "c", "d"].filter { Disk.status("\(root)/environments/\($0)") != nil }.count
      return ByteCount(Int64(4 - there) * 40_960)
    }
    return stager
  }

  @Test func theLeastRecentlyUsedMakesRoom() async throws {
    try await StagingFixture.with { fixture in
      let node = try fixture.node()
      for (second, key) in ["a", "b", "c", "d"].enumerated() { try make(key, on: node, used: 100 + second) }
      try use("a", on: node, by: 5)
      let environments = Environments(node: node)
      let found = try environments.all()
      #expect(found.map(\.key) == ["a", "b", "c", "d"] && found.map(\.isInUse) == [true, false, false, false])
      #expect(found.map(\.lastUse) == (100..<104).map { Timestamp(secondsSinceEpoch: Double($0)) })
      // Somebody makes it at this moment.
      let maker = try await LockHolder.hold(environments.lock("b"))
      let news = News()
      _ = try await stager(fixture, node, reserve: 40_000, news).run()
      #expect(news.evicted == ["environments/c"])
      #expect(try environments.all().map(\.key) == ["a", "b", "d"])
      maker.release()
      _ = try await stager(fixture, node, reserve: 80_000, news).run()
      #expect(news.evicted == ["environments/c", "environments/b"])
      await #expect(throws: StagingFailure.diskTooSmall(needed: ByteCount(160_000), room: ByteCount(2 * 40_960))) {
        _ = try await stager(fixture, node, reserve: 160_000, news).run()
      }
      #expect(Disk.status(environments.stamp("c")) == nil)
    }
  }

  @Test func whatNobodyUsesCountsAsRoom() throws {
    let one = { (bytes: Int64, isInUse: Bool) in
      EnvironmentReport(key: "k", bytes: ByteCount(bytes), lastUse: Timestamp(microseconds: 0), isInUse: isInUse)
    }
    var report = NodeReport(
      hostname: "n", bootID: "b", cores: 1, memory: .zero, diskTotal: ByteCount(100), diskFree: ByteCount(10),
      clock: Timestamp(microseconds: 0), software: [:], gpus: [], replicas: [])
    #expect(report.diskAvailable == ByteCount(10))
    report.environments = [one(5, false), one(20, true), one(7, false)]
    #expect(report.diskAvailable == ByteCount(22))
  }

  @Test func aNodeWithoutAnyHasNone() throws {
    let scratch = FileManager.default.temporaryDirectory.appendingPathComponent("baton-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: scratch) }
    #expect(try Environments(node: NodeFolder(making: scratch)).all() == [])
  }
}
