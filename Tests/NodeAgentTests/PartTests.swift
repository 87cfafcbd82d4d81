import Domain
import Foundation
import ObjectStorage
import Testing
import Wire

@testable import NodeAgent

@Suite struct PartTests {
  @Test func theEndOfALeaseIsCutIntoSaveUploadAndRecord() {
    var rule = LastSave(assumed: .seconds(10), grace: .seconds(5), interval: .seconds(8))
    let end = BootInstant(microseconds: 100_000_000)
    #expect(end - rule.stopAt(end: end) == .seconds(10))
    // A save past the grace would have been cut off by SIGKILL.
    for _ in 0..<2 { rule.measured(save: .seconds(60), upload: .seconds(7), bytes: .mebibytes(1)) }
    #expect(rule.cost == .seconds(12))
    #expect(end - rule.stopAt(end: end) == .seconds(21))
    #expect(rule.killAt(stoppedAt: end - .seconds(21), end: end) == end - .seconds(16))
    #expect(rule.killAt(stoppedAt: end - .seconds(3), end: end) == end - .seconds(2))
    #expect(rule.hasTimeToUpload(from: end - .seconds(9), end: end))
    #expect(!rule.hasTimeToUpload(from: end - .seconds(8), end: end))
    #expect(end - rule.fullSpeedAt(end: end, interval: .seconds(60)) == .seconds(51))
  }

  @Test(arguments: [(600, 10), (5, 5)] as [(Double, Double)])
  func whoLostAPeerHasAShortGrace(grace: Double, expected: Double) {
    let rule = LastSave(assumed: .seconds(10), grace: .seconds(grace))
    let now = BootInstant(microseconds: 1_000_000)
    let end = now + .seconds(3600)
    #expect(rule.killAt(stoppedAt: now, end: end, afterFailure: true) == now + .seconds(expected))
    #expect(rule.killAt(stoppedAt: now, end: now + .seconds(3), afterFailure: true) == now + .seconds(1))
    #expect(rule.killAt(stoppedAt: now, end: end) == now + .seconds(grace))
  }

  @Test(arguments: [
    ("$A", "1"), ("${A}b", "1b"), ("$Ab", ""), ("a$", "a$"), ("$$A", "$A"), ("$$$A$$", "$1$"), ("$${A}", "${A}"),
    ("${A", "${A"), ("${}", "${}"),
    ("$1", "$1"),
    ("x$A/${B_2}y", "x1/twoy"), ("", ""),
  ])
  func expandsVariables(text: String, expected: String) {
    #expect(RankEnvironment.expand(text, with: ["A": "1", "B_2": "two"]) == expected)
  }

  @Test(arguments: [
    ("step-0", 0), ("step-12", 12), ("step-012", nil), ("step-1.tmp", nil), ("step--1", nil), ("step-", nil),
    ("step-1 ", nil),
  ])
  func knowsTheNamesOfSteps(name: String, step: Int?) {
    #expect(LocalCheckpoints.step(name) == step)
  }

  @Test func readsWhatNvidiaSMISays() {
    let answer = "0, NVIDIA H200, 143771, GPU-1a2b, 570.124.06\nbroken line\n1, Baton stand-in, 1024, GPU-3, 0\n"
    let (found, driver) = Probe.parse(nvidiaSMI: answer)
    #expect(found.map(\.index) == [0, 1])
    #expect(found[0].memory == .mebibytes(143_771))
    #expect(found.map(\.isStandIn) == [false, true])
    #expect(driver == "0")
  }

  @Test func repairsATornJournal() throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("baton-journal-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: path) } }
    let folder = AttemptFolder(path: path, id: AttemptID(1), root: path)
    let journal = try Journal(folder, start: .now())
    try journal.append(.checkpointAsked)
    try journal.append(.firstLine(rank: 0))
    let file = try #require(FileHandle(forWritingAtPath: folder.journal))
    try file.seekToEnd()
    file.write(Data("{\"sequence\":3,\"at\"".utf8))
    try file.close()
    let next = try Journal(folder, start: .now())
    #expect(next.history == [.checkpointAsked, .firstLine(rank: 0)])
    try next.append(.checkpointAsked)
    #expect(try JournalFile.read(folder.journal).entries.map(\.sequence) == [1, 2, 3])
  }

  @Test func aNodeRemembersTheHighestEpochAndNumber() {
    var state = NodeState()
    #expect(state.admit(controllerEpoch: 3) == nil)
    #expect(state.admit(controllerEpoch: 3) == nil)
    #expect(state.admit(controllerEpoch: 2) != nil)
    #expect(state.controllerEpoch == 3)
  }
}
