import APIClient
import Domain
import Foundation
import Lab
import Postgres
import TestKit
import Testing
import Wire

/// What a program that was run to its end left behind.
struct ProgramResult: Sendable {
  var status: Int32
  /// Standard output and standard error.
  var output: String
}

extension SystemFixture {
  /// Runs a program to its end; `environment` is added to that of the tests.
  static func run(
    _ program: String, _ arguments: [String], environment: [String: String] = [:]
  ) async throws -> ProgramResult {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    return try await withCheckedThrowingContinuation { continuation in
      process.terminationHandler = { ended in
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        continuation.resume(
          returning: ProgramResult(status: ended.terminationStatus, output: String(decoding: output, as: UTF8.self)))
      }
      do {
        try process.run()
      } catch {
        continuation.resume(throwing: error)
      }
    }
  }

  /// Turns a bit of a checkpoint over in the store, where only reading back finds it.
  func rot(checkpoint prefix: String) throws {
    let folder = "\(lab.layout.objects)/\(prefix)chunks"
    let name = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).min())
    let file = "\(folder)/\(name)"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
    bytes[0] ^= 1
    chmod(file, 0o644)
    try bytes.write(to: URL(fileURLWithPath: file))
  }

  /// Runs the CLI against this product.
  func baton(_ arguments: String...) async throws -> ProgramResult { try await baton(arguments) }

  /// The same with words that were put together.
  func baton(_ arguments: [String]) async throws -> ProgramResult {
    try await Self.run(
      Places.find().bin + "/baton", arguments, environment: ["BATON_CONFIG": lab.layout.clientConfiguration])
  }

  /// Submits a file with the CLI.
  func batonSubmit(_ text: String) async throws -> ProgramResult {
    let path = "\(folder)/job.yaml"
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    return try await baton("submit", path)
  }

  /// What the server refuses `body` with.
  func refusal(_ body: () async throws -> Void) async throws -> APIFailure {
    do {
      try await body()
    } catch let failure as ClientFailure {
      return try #require(failure.refusal, "\(failure)")
    }
    throw SystemFailure("the server did not refuse")
  }

  /// Registers a data set of zeros.
  func dataset(_ name: String, _ size: ByteCount) async throws -> DatasetView {
    let path = "\(folder)/\(name)"
    try Data().write(to: URL(fileURLWithPath: path))
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    try file.truncate(atOffset: UInt64(size.bytes))
    try file.close()
    return try await register(path, as: "zeros", of: name, size: size).dataset
  }

  /// Registers a data set of one file, called as itself, in which no two stretches are equal; its SHA-256 beside it.
  func noise(_ name: String, _ size: ByteCount) async throws -> (dataset: DatasetView, sha256: String) {
    let path = "\(folder)/\(name)"
    var random = SeededGenerator(seed: 7)
    var bytes: [UInt8] = []
    while bytes.count < size.bytes { withUnsafeBytes(of: random.next()) { bytes += $0 } }
    try Data(bytes.prefix(Int(size.bytes))).write(to: URL(fileURLWithPath: path))
    return try await register(path, as: name, of: name, size: size)
  }

  private func register(
    _ path: String, as file: String, of name: String, size: ByteCount
  ) async throws -> (dataset: DatasetView, sha256: String) {
    let sum = String(try await Self.run("/usr/bin/sha256sum", [path]).output.prefix(64))
    try await client.uploadBlob(sha256: sum, path: path, size: size)
    let manifest = try #require(Manifest([ManifestEntry(path: file, size: size.bytes, sha256: sum)]))
    let dataset = try await client.registerDataset(DatasetRequest(name: name, source: "a test", manifest: manifest))
    return (dataset, sum)
  }

  /// The database, as somebody who goes past Baton reaches it.
  func withDatabase<T: Sendable>(_ body: (PostgresConnection) async throws -> T) async throws -> T {
    let connection = try await PostgresConnection.connect(lab.postgres.conninfo)
    do {
      let result = try await body(connection)
      await connection.close()
      return result
    } catch {
      await connection.close()
      throw error
    }
  }

  /// The part of a node's disk that is not its system's: Baton's own files.
  func filesOfBaton(on node: String) throws -> [String] {
    let root = try lab.node(node).description.rootPath
    let all = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
    return all.filter { !$0.hasPrefix("home") && !$0.hasPrefix("tmp") }
  }

  /// Kills the controller and starts it anew.
  func restartController() async throws {
    try await lab.controller.kill()
    try await lab.controller.start(migrating: false)
  }
}

/// Keeps a data set from coming to a node for as long as it is held: the agent waits for the lock that is taken here,
/// as it does when another attempt stages the same data.
final class StagingBlock {
  private let file: Int32

  init(_ dataset: DatasetView, on node: LabNode) throws {
    let folder = try node.description.rootPath + "/datasets"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    file = open("\(folder)/.lock-\(dataset.contentID)", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard file >= 0, flock(file, LOCK_EX | LOCK_NB) == 0 else {
      throw SystemFailure("cannot keep \(dataset.name) from \(node.name)")
    }
  }

  /// Lets the data come.
  func release() { flock(file, LOCK_UN) }

  deinit { close(file) }
}
