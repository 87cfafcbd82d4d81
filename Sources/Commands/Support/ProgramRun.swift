import Foundation

/// Runs another program and reads what it prints.
///
/// No shell stands between.
enum ProgramRun {
  /// What a program printed, and how it ended.
  struct Result: Sendable, Hashable {
    var status: Int32
    var output: [UInt8]
    /// Whether there was more than the limit; the program was ended then.
    var isCut: Bool

    var text: String { String(decoding: output, as: UTF8.self) }
  }

  /// Runs `program`, found by `PATH`, in `folder`; nil where it is not installed or cannot be started.
  ///
  /// Standard error goes nowhere. Of the output, `limit` bytes are kept.
  static func run(
    _ program: String, _ arguments: [String], in folder: String, environment: [String: String], limit: Int = 65_536
  ) async -> Result? {
    guard let path = find(program, environment) else { return nil }
    return await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        continuation.resume(returning: runNow(path, arguments, folder, environment, limit))
      }
    }
  }

  private static func find(_ program: String, _ environment: [String: String]) -> String? {
    (environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":").lazy.map { "\($0)/\(program)" }
      .first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  private static func runNow(
    _ path: String, _ arguments: [String], _ folder: String, _ environment: [String: String], _ limit: Int
  ) -> Result? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.environment = environment
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    do { try process.run() } catch { return nil }
    var output: [UInt8] = []
    var isCut = false
    while let chunk = readChunk(pipe.fileHandleForReading) {
      if output.count + chunk.count > limit {
        output += chunk.prefix(limit - output.count)
        if !isCut { process.terminate() }
        isCut = true
      } else {
        output += chunk
      }
    }
    process.waitUntilExit()
    return Result(status: process.terminationStatus, output: output, isCut: isCut)
  }

  private static func readChunk(_ handle: FileHandle) -> Data? {
    do {
      guard let data = try handle.read(upToCount: 65_536), !data.isEmpty else { return nil }
      return data
    } catch {
      return nil
    }
  }
}
