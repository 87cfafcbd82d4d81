import APIClient
import Domain
import Foundation
import Testing
import Wire

@testable import Commands

@Suite(.timeLimit(.minutes(5))) struct CheckpointDownloadTests {
  private static let weights = "the weights of a network"
  private static let momentum = "momentum"

  /// Two files, one of them in a folder.
  private static let files = Manifest([
    ManifestEntry(
      path: "optimizer/momentum", size: 8,
      sha256: "446be308664e1964b816217ba48334a777837850765f863efbba3c6608da6b90"),
    ManifestEntry(
      path: "weights", size: 24, sha256: "6abbc9904bf5e8dbb3ef1f662f637b7ea7ae4765ac55b9f3ad36358bfc84f7c9"),
  ]).map {
    CheckpointFiles(
      checkpoint: CheckpointID(42), manifestSHA256: String(repeating: "a", count: 64), files: $0)
  }

  /// Lends a downloader whose server gives `answers`, and a folder that is not there yet.
  private func with(
    _ answers: [TinyServer.Answer], _ body: (CheckpointDownloader, TinyServer, String) async throws -> Void
  ) async throws {
    let scratch = FileManager.default.temporaryDirectory.appendingPathComponent("baton-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: scratch) }
    let server = try TinyServer(answers)
    defer { server.stop() }
    let console = Console(outIsTerminal: false, errorIsTerminal: true, width: 80, colours: false)
    try await BatonClient.with(ClientConfiguration(url: server.url + "/", token: "secret")) { client in
      try await body(CheckpointDownloader(client: client, console: console), server, scratch.path + "/weights-42")
    }
  }

  private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

  private func entries(beside target: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: (target as NSString).deletingLastPathComponent)
  }

  @Test func publishesAFolderOnceAllOfItIsThere() async throws {
    try await with([.body(200, [Self.momentum]), .body(200, ["the weights ", "of a network"])]) {
      download, server, target in
      try await download.run(try #require(Self.files), to: target)
      #expect(try text(target + "/optimizer/momentum") == Self.momentum)
      #expect(try text(target + "/weights") == Self.weights)
      #expect(try entries(beside: target) == ["weights-42"])
      #expect(
        server.requests.map(\.line).first?.contains("/checkpoints/checkpoint-42/data?path=optimizer%2Fmomentum ")
          == true)
    }
  }

  @Test func goesOnWhereItWasCut() async throws {
    let answers: [TinyServer.Answer] = [
      .body(200, [Self.momentum]), .cut(200, "the weights "), .body(200, ["of a network"]),
    ]
    try await with(answers) { download, server, target in
      let files = try #require(Self.files)
      await #expect(throws: ClientFailure.self) { try await download.run(files, to: target) }
      #expect(!FileManager.default.fileExists(atPath: target))
      try await download.run(files, to: target)
      #expect(try text(target + "/weights") == Self.weights)
      #expect(server.requests.count == 3, "the file that was whole is not asked for again")
      #expect(server.requests.last?.line.contains("path=weights&from=12 ") == true)
    }
  }

  @Test func saysWhereItStoppedWhenTheServerEndsTooEarly() async throws {
    try await with([.body(200, ["mom"])]) { download, _, target in
      let error = await #expect(throws: CommandFailure.self) {
        try await download.run(try #require(Self.files), to: target)
      }
      #expect(error?.status == .unreachable)
      #expect(error?.message.contains("3 B") == true)
    }
  }

  @Test func fetchesAWrongFileOnceMoreAndThenGivesUp() async throws {
    try await with([.body(200, ["MOMENTUM"]), .body(200, [Self.momentum]), .body(200, [Self.weights])]) {
      download, _, target in
      try await download.run(try #require(Self.files), to: target)
      #expect(try text(target + "/optimizer/momentum") == Self.momentum)
    }
    try await with([.body(200, ["MOMENTUM"]), .body(200, ["far more than that"])]) { download, server, target in
      let error = await #expect(throws: CommandFailure.self) {
        try await download.run(try #require(Self.files), to: target)
      }
      #expect(error?.status == .foundTrouble)
      #expect(server.requests.count == 2)
      #expect(!FileManager.default.fileExists(atPath: target))
    }
  }

  @Test func overwritesNothing() async throws {
    try await with([]) { download, server, target in
      try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: false)
      let error = await #expect(throws: CommandFailure.self) {
        try await download.run(try #require(Self.files), to: target)
      }
      #expect(error?.status == .conflict)
      #expect(server.requests.isEmpty)
    }
  }
}
