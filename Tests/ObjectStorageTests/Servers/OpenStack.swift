import Foundation
import Glibc
import Testing

/// OpenStack Swift with its S3 interface, and Keystone with a second door to the same Swift: real ones, of this process
/// alone, on loopback.
///
/// Started once, by the first test that needs them. `scripts/servers/openstack.py` ends them when the pipe to it closes,
/// which the kernel does however this process ends.
struct OpenStack: Sendable, Decodable {
  struct Plain: Sendable, Decodable {
    var url: String
    var authURL: String
    var user: String
    var password: String
    var accessKey: String
    var secretKey: String
  }

  struct Keystone: Sendable, Decodable {
    var url: String
    var authURL: String
    var user: String
    var password: String
    var project: String
    var region: String
    var applicationID: String
    var applicationSecret: String
    var accessKey: String
    var secretKey: String
  }

  var swift: Plain
  var keystone: Keystone

  /// The servers of this process.
  static var shared: OpenStack {
    get async throws { try await started.value }
  }

  private static let started = Task.detached {
    try await withCheckedThrowingContinuation { continuation in
      // On a thread of its own: it waits for the servers.
      Thread.detachNewThread { continuation.resume(with: Result { try start() }) }
    }
  }

  private static func start() throws -> OpenStack {
    // Servers that somebody keeps running: what openstack.py printed.
    if let known = ProcessInfo.processInfo.environment["BATON_TEST_OPENSTACK"] {
      return try JSONDecoder().decode(OpenStack.self, from: Data(contentsOf: URL(fileURLWithPath: known)))
    }
    let repository = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().resolvingSymlinksInPath()
    let folder =
      ProcessInfo.processInfo.environment["BATON_TEST_SERVERS"] ?? repository.path + "/.build/servers"
    let python = folder + "/venv/bin/python"
    guard FileManager.default.isExecutableFile(atPath: python) else {
      throw OpenStackFailure(reason: "there is no \(python): run scripts/servers/install.sh \(folder)")
    }
    let input = Pipe()
    let output = Pipe()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: python)
    process.arguments = [repository.path + "/scripts/servers/openstack.py", "--keystone"]
    process.standardInput = input
    process.standardOutput = output
    // No other child process may hold the writing end, or the servers would outlive this process.
    _ = fcntl(input.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
    try process.run()
    held.append(input.fileHandleForWriting)
    var line = Data()
    while line.last != UInt8(ascii: "\n") {
      let piece = output.fileHandleForReading.availableData
      if piece.isEmpty { break }
      line += piece
    }
    do { return try JSONDecoder().decode(OpenStack.self, from: line) } catch {
      throw OpenStackFailure(reason: String(decoding: line, as: UTF8.self))
    }
  }

  /// Open until the process ends; written once, before any test runs on.
  nonisolated(unsafe) private static var held: [FileHandle] = []
}

/// The servers did not start.
struct OpenStackFailure: Error, CustomStringConvertible {
  var reason: String
  var description: String { "OpenStack for tests: \(reason)" }
}
