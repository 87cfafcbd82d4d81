import Dispatch
import Domain
import Foundation
import Glibc
import Testing
import Wire

/// The built agent, run as a program.
enum AgentProcess {
  struct Result: Sendable {
    var code: Int32
    var output: Data
    var errors: String
  }

  /// `BATON_AGENT` where it is set, else the product beside the test bundle.
  static func program() throws -> String {
    if let path = ProcessInfo.processInfo.environment["BATON_AGENT"] { return path }
    let bundle = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let path = URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("baton-agent").path
    try #require(
      FileManager.default.isExecutableFile(atPath: path), "build the product baton-agent, or set BATON_AGENT")
    return path
  }

  /// - Parameter under: the words of a program that runs the one that follows them; none runs the agent itself.
  static func run(_ arguments: [String], under: [String] = [], input: Data = Data()) async throws -> Result {
    try await run(program: under + [program()] + arguments, input: input)
  }

  /// Runs any program.
  static func run(program words: [String], input: Data = Data()) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      DispatchQueue(label: "agent").async {
        continuation.resume(with: Swift.Result { try runBlocking(words, input) })
      }
    }
  }

  private static func runBlocking(_ words: [String], _ input: Data) throws -> Result {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: words[0])
    process.arguments = Array(words.dropFirst())
    let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
    process.standardInput = stdin
    process.standardOutput = stdout
    process.standardError = stderr
    try process.run()
    stdin.fileHandleForWriting.write(input)
    try stdin.fileHandleForWriting.close()
    let output = stdout.fileHandleForReading.readDataToEndOfFile()
    let errors = stderr.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Result(
      code: process.terminationStatus, output: output, errors: String(decoding: errors, as: UTF8.self))
  }
}

/// What a program says, line by line.
enum Lines {
  /// The whole lines that come, as they come, until there is nothing more to come.
  static func read(_ reader: FileHandle) -> AsyncStream<Data> {
    let (stream, continuation) = AsyncStream.makeStream(of: Data.self)
    // A thread of its own, since to read blocks.
    DispatchQueue(label: "lines").async {
      var rest = Data()
      while true {
        let piece = reader.availableData
        if piece.isEmpty { break }
        rest.append(piece)
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
          continuation.yield(Data(rest[rest.startIndex..<end]))
          rest = Data(rest[(end + 1)...])
        }
      }
      continuation.finish()
    }
    return stream
  }
}

/// A running `follow`, and all that it has said.
final class Follower {
  private let process = Process()
  private var lines: AsyncStream<Data>.Iterator
  private(set) var frames: [FollowFrame] = []

  init(_ node: TestNode, _ attempt: AttemptID, journal: Int64 = 0, metrics: Int64 = 0) throws {
    let words =
      try node.under + [
        AgentProcess.program(), "follow", "--root", node.root, "--attempt", "\(attempt.rawValue)", "--journal",
        "\(journal)", "--metrics", "\(metrics)",
      ]
    process.executableURL = URL(fileURLWithPath: words[0])
    process.arguments = Array(words.dropFirst())
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    lines = Lines.read(pipe.fileHandleForReading).makeAsyncIterator()
  }

  deinit { if process.isRunning { process.terminate() } }

  /// Waits for a frame, from those that were not looked at yet.
  @discardableResult
  func next(where wanted: (FollowFrame) -> Bool) async throws -> FollowFrame {
    while let line = await lines.next(isolation: #isolation) {
      let frame = try JSONDecoder().decode(FollowFrame.self, from: line)
      frames.append(frame)
      if wanted(frame) { return frame }
    }
    throw FollowEnded(frames: frames)
  }

  /// Waits for an event.
  @discardableResult
  func event(_ wanted: (AgentEvent) -> Bool) async throws -> AgentEvent {
    let frame = try await next { if case .journal(let entry) = $0 { wanted(entry.event) } else { false } }
    guard case .journal(let entry) = frame else { throw FollowEnded(frames: frames) }
    return entry.event
  }

  /// Waits until the attempt is over; how it ended.
  func outcome() async throws -> NodeOutcome {
    let last = try await event { if case .ended = $0 { true } else { false } }
    guard case .ended(let outcome) = last else { throw FollowEnded(frames: frames) }
    return outcome
  }

  /// Reads to the end of what `follow` says.
  func drain() async throws {
    while let line = await lines.next(isolation: #isolation) {
      frames.append(try JSONDecoder().decode(FollowFrame.self, from: line))
    }
  }

  var events: [AgentEvent] {
    frames.compactMap { if case .journal(let entry) = $0 { entry.event } else { nil } }
  }

  var stored: [StoredCheckpoint] {
    events.compactMap { if case .checkpointStored(let stored) = $0 { stored } else { nil } }
  }

  var rejected: [Int: String] {
    var found: [Int: String] = [:]
    for case .checkpointRejected(let step, let reason) in events { found[step] = reason }
    return found
  }
}

/// `follow` ended before it said what was waited for.
struct FollowEnded: Error {
  var frames: [FollowFrame]
}
