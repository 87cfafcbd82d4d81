import Foundation
import Glibc

/// A program that is run to its end.
enum Child {
  struct Result: Sendable {
    var status: Int32
    /// What it wrote, both streams; empty where it wrote to this program's own.
    var output: String
  }

  /// Runs `path` with `arguments`, looked up in the search path unless it has a slash.
  ///
  /// Does not throw for how the program ends. With `shown` its output goes where this program's goes.
  static func run(
    _ path: String, _ arguments: [String], environment: [String: String] = [:], shown: Bool = false
  ) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      // Waiting for a process blocks, and must not take a thread of the cooperative pool.
      DispatchQueue.global().async {
        continuation.resume(
          with: Swift.Result { try runBlocking(path, arguments, environment: environment, shown: shown) })
      }
    }
  }

  /// As `run`; throws, with its last words, unless it exits with 0.
  @discardableResult
  static func checked(
    _ path: String, _ arguments: [String], environment: [String: String] = [:], shown: Bool = false
  ) async throws -> String {
    let result = try await run(path, arguments, environment: environment, shown: shown)
    guard result.status == 0 else {
      throw BenchFailure("\(path) \(arguments.joined(separator: " ")): status \(result.status) \(result.output)")
    }
    return result.output
  }

  private static func runBlocking(
    _ path: String, _ arguments: [String], environment: [String: String], shown: Bool
  ) throws -> Result {
    let process = Process()
    if path.contains("/") {
      process.executableURL = URL(fileURLWithPath: path)
      process.arguments = arguments
    } else {
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = [path] + arguments
    }
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    let pipe = Pipe()
    if !shown {
      process.standardOutput = pipe
      process.standardError = pipe
    }
    try withNoSignalBlocked { try process.run() }
    var output = Data()
    if !shown { output = try pipe.fileHandleForReading.readToEnd() ?? Data() }
    process.waitUntilExit()
    let status = process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    return Result(status: status, output: String(decoding: output, as: UTF8.self))
  }

  /// Dispatch blocks signals on its threads, and a program inherits that: `pgbench` would miss its own alarm.
  private static func withNoSignalBlocked(_ body: () throws -> Void) rethrows {
    var none = sigset_t()
    var before = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    try body()
  }
}
