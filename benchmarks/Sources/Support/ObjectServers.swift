import Foundation
import Glibc
import ObjectStorage

/// OpenStack Swift with its S3 interface, of one bench alone.
struct ObjectServers: Sendable {
  /// What `scripts/servers/openstack.py` says when all is up.
  struct Description: Sendable, Decodable {
    struct Door: Sendable, Decodable {
      var url: String
      var authURL: String
      var user: String
      var password: String
    }

    var folder: String
    var swift: Door
    var processes: [String: Int32]
  }

  /// Where programs for the bench were installed.
  struct Programs: Sendable {
    /// By `scripts/servers/install.sh`.
    var servers = ".build/servers"
    /// By `benchmarks/install-peers.sh`.
    var peers = ".build/bench-peers"

    var debian: String { BenchOptions.absolute("\(peers)/debian/usr") }
    /// Debian's programs find their libraries here where they are not installed.
    var libraries: String { "\(debian)/lib/x86_64-linux-gnu" }
    func peer(_ name: String) -> String { BenchOptions.absolute("\(peers)/venv/bin/\(name)") }
  }

  let description: Description
  private let keeper: Process
  private let input: FileHandle

  var door: Description.Door { description.swift }

  /// Starts the servers, lends them, and ends them, also when `body` throws; parameters as `start` has them.
  static func with<T>(
    launcher: [String] = [], host: String = "127.0.0.1", _ body: (ObjectServers) async throws -> T
  ) async throws -> T {
    let servers = try await start(launcher: launcher, host: host)
    let outcome: Result<T, any Error>
    do { outcome = .success(try await body(servers)) } catch { outcome = .failure(error) }
    try await servers.stop()
    return try outcome.get()
  }

  /// Starts the servers; `launcher` is put before their command, `host` is where Swift listens.
  ///
  /// They end with `stop`, and with this process however it ends.
  static func start(
    _ programs: Programs = Programs(), launcher: [String] = [], host: String = "127.0.0.1"
  ) async throws -> ObjectServers {
    let command =
      launcher + [
        "\(programs.servers)/venv/bin/python", "scripts/servers/openstack.py", "--host", host, "--memcached",
        "\(programs.debian)/bin/memcached",
      ]
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["LD_LIBRARY_PATH=\(programs.libraries)"] + command
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    // No other child may hold the writing end, or the servers would outlive this process.
    _ = fcntl(input.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
    try process.run()
    let line = await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        var line = Data()
        while line.last != UInt8(ascii: "\n") {
          let piece = output.fileHandleForReading.availableData
          if piece.isEmpty { break }
          line += piece
        }
        continuation.resume(returning: line)
      }
    }
    do {
      let description = try JSONDecoder().decode(Description.self, from: line)
      return ObjectServers(description: description, keeper: process, input: input.fileHandleForWriting)
    } catch {
      throw BenchFailure("the object servers did not start: \(String(decoding: line, as: UTF8.self))")
    }
  }

  /// Ends them, and waits until their folder is gone.
  func stop() async throws {
    try input.close()
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        keeper.waitUntilExit()
        continuation.resume()
      }
    }
  }

  /// Processor time that all of them used so far.
  var processorSeconds: Double { usedSeconds(of: description.processes.values) }

  /// A container, made where it is not there.
  func container(_ name: String) async throws -> SwiftObjectStore {
    let user = SwiftAuthentication.v1(url: door.authURL, user: door.user, key: door.password)
    let store = SwiftObjectStore(
      SwiftSettings(container: name, singlePutLimit: 5 << 30), authentication: user)
    try await store.createContainer()
    return store
  }

  /// The same container by the S3 interface.
  func bucket(_ name: String) -> S3ObjectStore {
    S3ObjectStore(
      S3Settings(endpoint: door.url, bucket: name), accessKey: door.user, secretKey: door.password)
  }
}
