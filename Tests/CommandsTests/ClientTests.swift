import APIClient
import Domain
import Foundation
import Testing
import Wire

@testable import Commands

@Suite(.timeLimit(.minutes(5))) struct ClientTests {
  private func with<T>(
    _ answers: [TinyServer.Answer], _ body: (BatonClient, TinyServer) async throws -> T
  ) async throws -> T {
    let server = try TinyServer(answers)
    defer { server.stop() }
    return try await BatonClient.with(ClientConfiguration(url: server.url + "/", token: "secret")) { client in
      try await body(client, server)
    }
  }

  private func json(_ value: some Encodable) throws -> TinyServer.Answer { .body(200, [try JSONText.line(value)]) }

  @Test func sendsTheTokenAndReadsTheAnswer() async throws {
    let job = Samples.job(.running, lastStep: 5)
    try await with([try json(job)]) { client, server in
      let found = try await client.job("a/b c")
      #expect(found == job)
      #expect(server.requests[0].line == "GET /api/v1/jobs/a%2Fb%20c HTTP/1.1")
      #expect(server.requests[0].headers.contains("authorization: Bearer secret"))
    }
  }

  @Test func sendsBodiesAndQueries() async throws {
    let view = try json(Samples.job(.cancelled))
    try await with([view, try json(Listing<JobView>(now: Samples.now, items: []))]) { client, server in
      _ = try await client.cancel("17", now: true)
      _ = try await client.jobs(all: true, state: "RUNNING")
      #expect(String(decoding: server.requests[0].body, as: UTF8.self) == #"{"now":true}"#)
      #expect(server.requests[0].line == "DELETE /api/v1/jobs/17 HTTP/1.1")
      #expect(server.requests[1].line == "GET /api/v1/jobs?all=true&state=RUNNING HTTP/1.1")
    }
  }

  @Test func passesARefusalOnWithItsCode() async throws {
    let refusal = APIFailure(.conflict, "taken", details: ["by lease-3"])
    try await with([.body(409, [try JSONText.line(refusal)])]) { client, _ in
      let error = await #expect(throws: ClientFailure.self) { try await client.createLease(LeaseRequest(nodes: 1)) }
      #expect(error == .refused(refusal, status: 409, request: "POST /leases"))
      #expect(error?.description == "taken\nby lease-3")
    }
  }

  @Test func asksAgainWhenTheConnectionBreaksAndAskingTwiceIsAskingOnce() async throws {
    let job = Samples.job(.running)
    try await with([.nothing, .cut(200, "{"), try json(job)]) { client, server in
      let found = try await client.job("17")
      #expect(found == job)
      #expect(server.requests.count == 3)
    }
  }

  @Test func neverAsksTwiceForALease() async throws {
    try await with([.nothing, .nothing]) { client, server in
      let error = await #expect(throws: ClientFailure.self) { try await client.createLease(LeaseRequest(nodes: 1)) }
      #expect(error?.isConnectionTrouble == true)
      #expect(server.requests.count == 1)
    }
  }

  @Test func saysThatNobodyIsThereAndWhatToDo() async throws {
    try await BatonClient.with(ClientConfiguration(url: "http://127.0.0.1:1", token: nil)) { client in
      let error = await #expect(throws: ClientFailure.self) { try await client.health() }
      #expect(error == .unreachable(url: "http://127.0.0.1:1", reason: "connection refused"))
      #expect(error?.description.contains("`baton lab up`") == true)
    }
  }

  @Test(arguments: [(200, "hello"), (502, "<html>"), (302, "")]) func saysThatAnAnswerIsNotBatons(
    _ status: Int, _ body: String
  ) async throws {
    try await with([.body(status, [body])]) { client, _ in
      let error = await #expect(throws: ClientFailure.self) { try await client.leases() }
      guard case .badAnswer(request: "GET /leases", status: status, reason: _) = error else {
        Issue.record("\(String(describing: error))")
        return
      }
    }
  }

  @Test func streamsALogAsItComes() async throws {
    try await with([.body(200, ["one\n", "two\n"])]) { client, server in
      var text = ""
      for try await chunk in try await client.logs("17", rank: 1, attempt: 2) {
        text += String(decoding: chunk, as: UTF8.self)
      }
      #expect(text == "one\ntwo\n")
      #expect(server.requests[0].line == "GET /api/v1/jobs/17/logs?rank=1&attempt=2 HTTP/1.1")
    }
  }

  @Test func saysThatAStreamBrokeOff() async throws {
    try await with([.cut(200, "one")]) { client, _ in
      let error = await #expect(throws: ClientFailure.self) {
        for try await _ in try await client.logs("17") {}
      }
      guard case .interrupted = error else {
        Issue.record("\(String(describing: error))")
        return
      }
    }
  }

  @Test func followsALogOverABrokenStreamWithoutLosingOrDoublingALine() async throws {
    func event(_ piece: LogPiece, _ place: String) throws -> String {
      "id: \(place)\nevent: log\ndata: \(try JSONText.line(piece))\n\n"
    }
    let first = try event(LogPiece(heading: "--- attempt 1 ---\n"), "1-0")
    let answers: [TinyServer.Answer] = [
      // Broken in the middle of an event, ended by a server that stops, away, and the end.
      .cut(200, first + (try event(LogPiece(bytes: Array("one\n".utf8)), "1-4")) + "id: 1-8\nevent: log\nda"),
      .body(200, [": alive\n\n", try event(LogPiece(bytes: Array("two\n".utf8)), "1-8")]),
      .nothing, .nothing, .nothing,
      .body(200, [try event(LogPiece(bytes: [0xFF, 0x0A]), "1-10"), try event(LogPiece(isEnd: true), "1-10")]),
    ]
    try await with(answers) { client, server in
      var bytes: [UInt8] = []
      try await Logs.follow(client, "17", rank: 0, attempt: nil) { bytes += $0 }
      #expect(bytes == Array("--- attempt 1 ---\none\ntwo\n".utf8) + [0xFF, 0x0A])
      let asked = server.requests.map(\.line)
      #expect(asked[0] == "GET /api/v1/jobs/17/logs/stream?rank=0 HTTP/1.1")
      #expect(asked[1] == "GET /api/v1/jobs/17/logs/stream?rank=0&after=1-4 HTTP/1.1")
      #expect(asked[5] == "GET /api/v1/jobs/17/logs/stream?rank=0&after=1-8 HTTP/1.1")
    }
  }

  @Test func givesUpALogWhoseServerStaysAway() async throws {
    try await with([.body(200, [])]) { client, _ in
      _ = await #expect(throws: ClientFailure.self) {
        try await Logs.follow(client, "17", rank: 0, attempt: nil, persistence: Persistence(triesMost: 1)) { _ in }
      }
    }
  }

  @Test func followsAJobOverABrokenStreamToItsEnd() async throws {
    let running = Samples.job(.running)
    let done = Samples.job(.completed)
    func event(_ job: JobView) throws -> String { "event: job\ndata: \(try JSONText.line(job))\n\n" }
    let answers: [TinyServer.Answer] = [
      .body(200, [": hi\n\n", try event(running)]), try json(running), .body(200, [try event(done)]),
    ]
    try await with(answers) { client, server in
      var states: [JobState] = []
      let end = try await JobFollower(client: client).follow("17") { states.append($0.state) }
      #expect(end == done)
      #expect(states == [.running, .completed])
      #expect(server.requests.count == 3)
    }
  }

  @Test func followingAJobThatIsNotThereHasAStatusOfItsOwn() async throws {
    let refusal = APIFailure(.notFound, "no job 17")
    try await with([.body(404, [try JSONText.line(refusal)])]) { client, _ in
      let error = await #expect(throws: CommandFailure.self) {
        try await JobFollower(client: client).follow("17") { _ in }
      }
      #expect(error == CommandFailure(.jobNotFound, "no job 17"))
    }
  }

  @Test func bringsOnlyMissingContentIntoTheStore() async throws {
    try await withFolder { folder in
      try write("abc", "\(folder)/a")
      try write("abc", "\(folder)/b")
      try write("here", "\(folder)/c")
      let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
      let view = DatasetView(
        id: DatasetVersionID(1), name: "d", version: 1, contentID: "x", total: ByteCount(10), objects: 3, source: "s",
        createdAt: Samples.now, replicas: [])
      let missing = BlobList(sha256: [abc])
      try await with([try json(missing), try json(missing), try json(view)]) { client, server in
        let console = Console(outIsTerminal: false, errorIsTerminal: false, width: 80, colours: false)
        let found = try await DataUpload(client: client, console: console).run(name: "d", path: folder, source: "s")
        #expect(found == view)
        #expect(
          server.requests.map(\.line) == [
            "POST /api/v1/blobs/missing HTTP/1.1", "PUT /api/v1/blobs/\(abc) HTTP/1.1",
            "POST /api/v1/datasets HTTP/1.1",
          ])
        #expect(server.requests[1].body == Array("abc".utf8))
        let request = try JSONDecoder().decode(DatasetRequest.self, from: Data(server.requests[2].body))
        #expect(request.manifest.entries.map(\.path) == ["a", "b", "c"])
      }
    }
  }
}
