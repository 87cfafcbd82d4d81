import Domain
import Foundation
import Testing
import Wire

@Suite struct JournalCodingTests {
  private func roundTrip<Value: Codable>(_ value: Value) throws -> Value {
    try JSONDecoder().decode(Value.self, from: JSONEncoder().encode(value))
  }

  @Test(arguments: [
    AgentEvent.accepted(pid: 7, bootID: "b"), .staging(done: ByteCount(1), total: ByteCount(2)),
    .staged(port: 7000, bytes: ByteCount(3), took: .seconds(1.5)),
    .staged(port: 7000, bytes: ByteCount(3), took: .seconds(1.5), brought: ByteCount(2)),
    .staged(port: 7000, bytes: ByteCount(3), took: .seconds(1.5), rankPorts: [7001, 7002]),
    .stagingFailed(.diskTooSmall(needed: .gibibytes(2), room: .mebibytes(1))), .launched(pids: [1, 2]),
    .firstLine(rank: 0), .checkpointAsked, .checkpointLocal(step: 5, bytes: ByteCount(9)),
    .checkpointStored(
      StoredCheckpoint(
        step: 5, prefix: "runs/1/", manifestSHA256: "ab", bytes: ByteCount(9), saveTook: nil,
        uploadTook: .seconds(0.25),
        isFinal: true)),
    .checkpointRejected(step: 5, reason: "it is empty"),
    .environment(NodeEnvironment(facts: ["kernel": "6.1"], packages: ["numpy": "1.26"])),
    .checkpointDelayed(step: 5, reason: "PUT was answered 503"), .stopping(.leaseEnd), .unknown("teleported"),
    .rankEnded(rank: 1, code: nil, signal: 9),
    .serving(port: 7001), .helperEnded(name: "server-0", code: 3, signal: nil),
    .staging(done: ByteCount(1), total: ByteCount(2), rate: ByteCount(3), eta: .seconds(4)),
    .peerDistrusted(nodeRank: 1, address: "10.0.0.2", reason: "its answer does not carry the proof"),
    .evicted(replica: "abc", bytes: ByteCount(5)), .stagingFailed(.changed(key: "k")),
    .ended(NodeOutcome(stopped: nil, staging: nil, launchError: nil, exits: [.init(rank: 0, code: 0, signal: nil)])),
  ])
  func everyEventComesBack(event: AgentEvent) throws {
    let entry = JournalEntry(
      sequence: 3, at: Timestamp(microseconds: 1_795_000_000_123_456), elapsed: .seconds(2), event: event)
    #expect(try roundTrip(entry) == entry)
    #expect(try roundTrip(FollowFrame.journal(entry)) == .journal(entry))
  }

  @Test func anEventOfANewerAgentIsKeptByName() throws {
    let text = """
      {"sequence": 1, "at": "2026-11-21T18:00:00Z", "elapsed": 0, "event": {"teleported": {"to": "n9"}}}
      """
    let entry = try JSONDecoder().decode(JournalEntry.self, from: Data(text.utf8))
    #expect(entry.event == .unknown("teleported"))
    #expect(entry.sequence == 1)
  }

  @Test func aFailureCodeOfANewerServerIsUnknownAndNotAnError() throws {
    let text = #"{"code": "tooFancy", "message": "no", "details": []}"#
    let failure = try JSONDecoder().decode(APIFailure.self, from: Data(text.utf8))
    #expect(failure.code == .unknown)
    #expect(failure.message == "no")
  }

  @Test func aStandInGPUSaysSo() {
    let lab = NodeReport.GPUReport(index: 0, name: "Baton stand-in GPU (no device)", memory: .zero, uuid: "x")
    let real = NodeReport.GPUReport(index: 0, name: "NVIDIA A100-SXM4-80GB", memory: .zero, uuid: "y")
    #expect(lab.isStandIn)
    #expect(!real.isStandIn)
  }

  @Test func whatWasWrittenBeforeThereWereModesWantsACopy() throws {
    let order = #"{"id": 1, "name": "d", "contentID": "c", "manifestKey": "k", "total": 5}"#
    let dataset = try JSONDecoder().decode(DatasetOrder.self, from: Data(order.utf8))
    #expect(dataset.mode == .copy)
    #expect(dataset.packKey == nil && dataset.source == nil)
    let request = try JSONDecoder().decode(DataRequest.self, from: Data(#"{"name": "d"}"#.utf8))
    #expect(request == DataRequest(name: "d"))
    let event = #"{"staging": {"done": 1, "total": 2}}"#
    #expect(
      try JSONDecoder().decode(AgentEvent.self, from: Data(event.utf8))
        == .staging(done: ByteCount(1), total: ByteCount(2)))
    let staged = #"{"staged": {"port": 7000, "bytes": 3, "took": 0}}"#
    #expect(
      try JSONDecoder().decode(AgentEvent.self, from: Data(staged.utf8))
        == .staged(port: 7000, bytes: ByteCount(3), took: .zero))
    let launch = #"{"launch": {"masterPort": 7000}}"#
    #expect(
      try JSONDecoder().decode(ControlCommand.self, from: Data(launch.utf8)) == .launch(masterPort: 7000))
  }

  @Test func anOrderFromBeforeThereWereHoldersNamesNone() throws {
    let old = """
      {"version": 1, "controllerEpoch": 1, "datasets": [], "store": {"folder": {"path": "/s"}}, "reserve": 0, "pinned": [],
        "nodeRank": 0, "nodeAddresses": ["10.0.0.1"]}
      """
    var order = try JSONDecoder().decode(StageOrder.self, from: Data(old.utf8))
    #expect(order.holders == nil && order.exchange == nil)
    order.holders = HoldersOrder(
      holders: [.init(address: "10.0.0.2", port: 7002, contentIDs: ["abc"])], least: .mebibytes(1))
    #expect(try roundTrip(order) == order)
  }

  @Test(arguments: [
    ServeFrame.serving(port: 7003, contentIDs: ["abc", "def"]), .alive, .refused("there is no copy here"),
  ])
  func whatANodeThatServesSaysComesBack(frame: ServeFrame) throws {
    #expect(try roundTrip(frame) == frame)
  }

  @Test func aKeyIsNotShown() throws {
    let order = ExchangeOrder(key: "c0ffee")
    var dumped = ""
    dump(order, to: &dumped)
    for text in ["\(order)", String(reflecting: order), String(describing: Optional(order)), dumped] {
      #expect(!text.contains("c0ffee"))
    }
    #expect(try roundTrip(order) == order)
  }

  @Test func shareOfANodeIsRoundedUp() {
    var dataset = DatasetOrder(
      id: DatasetVersionID(1), name: "d", contentID: "c", manifestKey: "k", total: ByteCount(10))
    #expect(dataset.share(of: 3) == ByteCount(10))
    dataset.mode = .shard
    #expect(dataset.share(of: 3) == ByteCount(4))
  }
}

@Suite struct LogPieceTests {
  @Test(arguments: [
    LogPiece(heading: "--- attempt 1 ---\n"), LogPiece(bytes: [0, 0xFF, 0x0A]), LogPiece(isEnd: true),
  ])
  func everyByteComesBack(piece: LogPiece) throws {
    #expect(try JSONDecoder().decode(LogPiece.self, from: JSONEncoder().encode(piece)) == piece)
  }

  @Test func bytesAreInBase64AndWhatIsEmptyIsLeftOut() throws {
    let text = String(decoding: try JSONEncoder().encode(LogPiece(bytes: Array("one".utf8))), as: UTF8.self)
    #expect(text == #"{"bytes":"b25l"}"#)
  }

  @Test func aPlaceComesBack() {
    #expect(LogPlace("\(LogPlace(attempt: 2, offset: 1500))") == LogPlace(attempt: 2, offset: 1500))
  }

  @Test(arguments: ["", "2", "2-", "-2", "0-5", "2-3-4", "x-y", "2--1", "99999999999999999999-1"])
  func refusesAPlaceThatIsNone(text: String) {
    #expect(LogPlace(text) == nil)
  }
}
