import Foundation
import Glibc

/// OpenStack Swift with its S3 interface, and Keystone with a second door to the same Swift: real ones, of this process
/// alone, on loopback.
///
/// Started once, by the first test that needs them. `scripts/servers/openstack.py` ends them when the pipe to it closes,
/// which the kernel does however this process ends.
public struct OpenStack: Sendable, Decodable {
  /// Swift with its own users, and S3 on the same data.
  public struct Plain: Sendable, Decodable {
    /// Scheme, host and port.
    public var url: String
    /// Where tokens come from.
    public var authURL: String
    /// Who asks.
    public var user: String
    /// The secret of that user.
    public var password: String
    /// The access key for S3.
    public var accessKey: String
    /// Its secret.
    public var secretKey: String
  }

  /// The same Swift behind Keystone.
  public struct Keystone: Sendable, Decodable {
    /// Scheme, host and port.
    public var url: String
    /// Where tokens come from.
    public var authURL: String
    /// Who asks.
    public var user: String
    /// The secret of that user.
    public var password: String
    /// The project of that user.
    public var project: String
    /// As the catalog calls it.
    public var region: String
    /// An application credential.
    public var applicationID: String
    /// Its secret.
    public var applicationSecret: String
    /// The access key for S3.
    public var accessKey: String
    /// Its secret.
    public var secretKey: String
  }

  /// The door with Swift's own users.
  public var swift: Plain
  /// The door behind Keystone.
  public var keystone: Keystone

  /// The servers of this process.
  ///
  /// Throws `OpenStackFailure` where they are not installed, or do not start.
  public static var shared: OpenStack {
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
      .resolvingSymlinksInPath()
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
public struct OpenStackFailure: Error, CustomStringConvertible {
  /// Why, and what to do.
  public var reason: String

  /// A failure because of `reason`.
  public init(reason: String) { self.reason = reason }

  /// The reason, with what it is about.
  public var description: String { "OpenStack for tests: \(reason)" }
}
