import Domain
import Foundation
import Glibc
import Postgres
import TestKit
import Testing

@testable import Lab

@Suite struct LabTests {
  @Test(.timeLimit(.minutes(2))) func leavesNothingBehind() async throws {
    let settings = LabFixture.settings(nodes: 2, dieWithParent: false)
    let lab = Lab(root: settings.root)
    _ = try await Lab.up(settings)
    let record = try lab.file.read()
    #expect(try await lab.node("n1").ssh("setsid sleep infinity </dev/null >/dev/null 2>&1 & true").status == 0)
    let processes = record.nodes.compactMap(\.process) + [try #require(record.postgres?.process)]
    let all = try processes + lab.nodes.flatMap { try $0.processes() }.compactMap { ProcessIdentity(pid: $0) }
    #expect(all.allSatisfy { $0.isAlive })

    try await lab.down()

    #expect(!all.contains { $0.isAlive })
    #expect(!Files.exists(settings.root))
    #expect(!MountTable.entries().contains { $0.source.contains(record.id) || $0.target.hasPrefix(settings.root) })
    #expect(ProcessTable.pids(withEnvironment: "BATON_LAB", record.id).isEmpty)
    try await lab.down()
  }

  @Test(.timeLimit(.minutes(2))) func cleansUpAfterAnUpThatWasKilledMidway() async throws {
    let settings = LabFixture.settings(nodes: 1, dieWithParent: false)
    let lab = Lab(root: settings.root)
    _ = try await Lab.up(settings)
    let record = try lab.file.read()
    let started = try [record.postgres?.process, record.nodes[0].process].map { try #require($0) }
    // As if the process had died between starting the server and the node and writing that down.
    try lab.file.update { record throws(LabError) in
      record.postgres?.process = nil
      record.nodes[0].process = nil
    }
    try await lab.down()
    #expect(!started.contains { $0.isAlive })
    #expect(!MountTable.entries().contains { $0.source.contains(record.id) })
    #expect(!Files.exists(settings.root))
  }

  @Test(.timeLimit(.minutes(2))) func carriesOnAfterAnUpThatWasKilledMidway() async throws {
    try await LabFixture.with { lab in
      let server = try lab.file.read().postgres?.process
      let node = try #require(lab.file.read().nodes[0].process)
      try lab.file.update { record throws(LabError) in
        record.postgres?.process = nil
        record.nodes[0].process = nil
      }
      _ = try await Lab.up(lab.settings)
      #expect(try lab.file.read().postgres?.process == server)
      #expect(!node.isAlive)
      #expect(try await lab.node("n1").ssh("true").status == 0)
    }
  }

  @Test(.timeLimit(.minutes(2))) func comesUpAgainWithTheSameAddresses() async throws {
    try await LabFixture.with(nodes: 2) { lab in
      let before = try lab.description
      try await lab.node("n1").crash()
      try await lab.postgres.stop()
      #expect(try lab.status().parts.map(\.state) == [.stopped, .stopped, .running])
      let kept = try lab.file.read().nodes[1].process
      #expect(try await Lab.up(lab.settings) == before)
      #expect(try lab.status().parts.map(\.state) == [.running, .running, .running])
      #expect(try lab.file.read().nodes[1].process == kept)
    }
  }

  @Test(.timeLimit(.minutes(5))) func touchesNoProcessThatGotARecordedNumberLater() async throws {
    let settings = LabFixture.settings(nodes: 1, dieWithParent: false)
    let lab = Lab(root: settings.root)
    try Files.makeFolder(settings.root)
    let foreign = try Command("/bin/sleep", ["infinity"]).startDaemon(log: "/dev/null")
    var stale = foreign
    stale.startTicks -= 1
    var otherBoot = foreign
    otherBoot.bootID = "an earlier start of the machine"
    var record = LabRecord(settings: settings)
    record.controller = .init(port: 1, process: stale)
    record.warden = otherBoot
    record.postgres = .init(
      folder: "\(settings.root)/postgres", socketFolder: "\(settings.root)/postgres/socket", port: 1, process: stale)
    record.nodes = [.init(name: "n1", address: "127.0.1.1", port: 1, process: stale, cleanSince: 0)]
    try lab.file.create(record)
    try await lab.down()
    #expect(!Files.exists(settings.root))
    #expect(foreign.isAlive)
    try await foreign.end(by: [], grace: .zero)
    #expect(!foreign.isAlive)
  }

  @Test func refusesAFolderThatHoldsOtherThings() async throws {
    let settings = LabFixture.settings(nodes: 1)
    try Files.makeFolder(settings.root)
    try Files.write("mine", to: "\(settings.root)/thesis.tex")
    await #expect { try await Lab.up(settings) } throws: { ($0 as? LabError)?.code == .invalidSettings }
    await #expect { try await Lab(root: settings.root).down() } throws: { ($0 as? LabError)?.code == .notALab }
    #expect(Files.text("\(settings.root)/thesis.tex") == "mine")
    try Files.remove(settings.root)
  }

  @Test(arguments: ["relative/path", "/tmp/with space", "/tmp/../etc", "/tmp/qu'ote", "/"])
  func refusesAFolderNameThatNeedsQuotes(root: String) async {
    var settings = LabFixture.settings(nodes: 1)
    settings.root = root
    await #expect { try await Lab.up(settings) } throws: { ($0 as? LabError)?.code == .invalidSettings }
  }

  @Test(.timeLimit(.minutes(2))) func goesWhenTheProcessThatHoldsItsLeashEnds() async throws {
    let settings = LabFixture.settings(nodes: 1)
    let lab = Lab(root: settings.root)
    _ = try await Lab.up(settings)
    let record = try lab.file.read()
    let processes = try [record.postgres?.process, record.nodes[0].process].map { try #require($0) }
    let members = try lab.node("n1").processes().compactMap { ProcessIdentity(pid: $0) }
    let watchdog = try #require(record.watchdog)
    Watchdog.letGo(watchdog)
    try await ProcessEnd.wait(watchdog.pid)
    #expect(!Files.exists(settings.root))
    #expect(!(processes + members).contains { $0.isAlive })
    #expect(!MountTable.entries().contains { $0.source.contains(record.id) })
  }

  @Test(
    .enabled(if: hasDevices, "disks that are devices need root and loop devices"), .timeLimit(.minutes(2)),
    arguments: hasSlowDevices ? [false, true] : [false])
  func takesABusyDiskAwayWithWhoWaitsForIt(isOnlySlow: Bool) async throws {
    try await LabFixture.withNodes(disk: .device) { lab in
      let node = try lab.node("n1")
      let (watchdog, source) = (try #require(lab.file.read().watchdog), try lab.file.read().mountSource(of: "n1"))
      if isOnlySlow {
        // Hours.
        try await node.slowDisk(bytesPerSecond: ByteCount(1), writesPerSecond: 1)
      } else {
        try await node.stallDisk()
      }
      async let writing = node.ssh("head -c 100000 /dev/zero >$BATON_NODE_ROOT/data; sync $BATON_NODE_ROOT/data")
      while try !node.processes().contains(where: { ProcessTable.state(of: $0)?.letter == "D" }) {
        try await TestTime.beforeAskingAgain()
      }
      let members = try node.processes().compactMap { ProcessIdentity(pid: $0) }
      Watchdog.letGo(watchdog)
      try await ProcessEnd.wait(watchdog.pid)
      #expect(!members.contains { $0.isAlive })
      #expect(!Files.exists(lab.layout.root))
      #expect(!MountTable.entries().contains { $0.target.hasPrefix(lab.layout.root) })
      #expect(!Files.exists("/sys/fs/cgroup/blkio/\(source)"))
      _ = try await writing
    }
  }
}

@Suite struct PostgresTests {
  @Test(.timeLimit(.minutes(2))) func keepsWhatWasCommittedThroughACrash() async throws {
    try await LabFixture.with { lab in
      let postgres = lab.postgres
      let connection = try await PostgresConnection.connect(postgres.conninfo)
      try await connection.execute("CREATE TABLE kept (value bigint)")
      try await connection.execute("INSERT INTO kept VALUES (42)")
      #expect(try await connection.query("SHOW fsync").first?.get("fsync") == "on")
      try await postgres.crash()
      #expect(try !postgres.isRunning)
      await connection.close()
      try await postgres.start()
      try await postgres.start()
      let again = try await PostgresConnection.connect(postgres.networkConninfo)
      #expect(try await again.query("SELECT value FROM kept").first?.get("value") == Int64(42))
      await again.close()
    }
  }

  @Test(.timeLimit(.minutes(2)), arguments: [0, 90]) func worksInAPrivateFolderOfAnyLength(extra: Int) async throws {
    let outer = LabFixture.freshFolder()
    try Files.makeFolder(outer, mode: 0o700)
    var settings = LabFixture.settings(nodes: 1)
    settings.root = "\(outer)/lab\(String(repeating: "x", count: extra))"
    let lab = Lab(root: settings.root)
    try await lab.prepare(settings)
    try await lab.postgres.start()
    let place = try #require(lab.file.read().postgres)
    let connection = try await PostgresConnection.connect(lab.postgres.conninfo)
    #expect(try await connection.query("SELECT current_user::text AS name").first?.get("name") == "baton")
    await connection.close()
    try await lab.down()
    #expect(!Files.exists(place.folder) && !Files.exists(place.socketFolder))
    #expect(try Files.names(in: outer).isEmpty)
    try Files.remove(outer)
  }

  @Test(.timeLimit(.minutes(2))) func asksForThePasswordOverTheNetwork() async throws {
    try await LabFixture.with { lab in
      let wrong = try lab.postgres.networkConninfo.replacingOccurrences(of: "password=", with: "password=x")
      await #expect(throws: PostgresError.self) { try await PostgresConnection.connect(wrong) }
    }
  }
}
