import Foundation
import Glibc
import TestKit
import Testing

@testable import ReferenceTrainer

/// The ranks of one attempt as processes, with their files in a folder of their own.
final class World {
  /// One line of the metrics file, without the time.
  struct Value: Decodable, Equatable {
    var step: Int
    var metric: String
    var value: Double
    var epoch: Int
  }

  private let data: String
  private let home: String
  private let size: Int
  private let resumeFrom: String
  private let saves: Bool
  private var port: UInt16 = 0
  /// Exit statuses of `run`, in the order of the ranks.
  private(set) var codes: [Int32] = []

  init(_ folder: String, _ name: String, size: Int = 2, resumeFrom: String = "", saves: Bool = true) {
    data = folder + "/data"
    home = folder + "/" + name
    self.size = size
    self.resumeFrom = resumeFrom
    self.saves = saves
  }

  func path(_ name: String) -> String { home + "/" + name }

  func file(_ name: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: path(name)))
  }

  /// Starts every rank and waits for all.
  func run(_ words: String...) throws -> World {
    try run(words)
  }

  func run(_ words: [String]) throws -> World {
    let ranks = try start(words)
    codes = try ranks.map { try $0.wait() }
    return self
  }

  func start(_ words: String...) throws -> [RankProcess] {
    try start(words)
  }

  /// Starts a single rank, whose peers are missing.
  func start(rank: Int) throws -> RankProcess {
    port = try PortClaim.make()
    return try launch(rank, [])
  }

  func start(_ words: [String]) throws -> [RankProcess] {
    port = try PortClaim.make()
    return try (0..<size).map { try launch($0, words) }
  }

  private func launch(_ rank: Int, _ words: [String]) throws -> RankProcess {
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    let arguments = words.first.map { Self.standalone.contains($0) } == true ? words : Self.small + words
    return try RankProcess(
      arguments,
      [
        "RANK": "\(rank)", "WORLD_SIZE": "\(size)", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "\(port)",
        "BATON_RUN_ID": "run", "BATON_ATTEMPT": "1", "BATON_SEED": "1", "BATON_DATA_DIR": data,
        "BATON_METRICS": path("metrics.jsonl"), "BATON_CHECKPOINT_DIR": saves ? path("ckpt") : "",
        "BATON_RESUME_FROM": resumeFrom,
      ])
  }

  private static let small = ["--channels", "2,3", "--hidden", "8", "--batch", "16"]
  private static let standalone = ["--help"]

  /// The metrics in the order in which they were written.
  func series() throws -> [Value] {
    let decoder = JSONDecoder()
    return try lines().filter { !$0.contains("\"loaded\"") }.map { try decoder.decode(Value.self, from: Data($0.utf8)) }
  }

  /// What it told that it had loaded; nil where it told nothing.
  func loaded() throws -> Loaded? {
    try lines().first { $0.contains("\"loaded\"") }.map {
      try JSONDecoder().decode(Loaded.self, from: Data($0.utf8))
    }
  }

  /// What a rank tells of its state.
  struct Loaded: Decodable {
    var step: Int
    var rank: Int
    var ingredients: [String: String]
  }

  /// `baton-state.json` of a checkpoint.
  struct Saved: Decodable {
    var step: Int
    var ranks: [String: [String: String]]
  }

  private func lines() throws -> [String] {
    try file("metrics.jsonl").split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
  }

  /// What lies in the checkpoint folder, unfinished ones too.
  func checkpoints() throws -> [String] {
    guard FileManager.default.fileExists(atPath: path("ckpt")) else { return [] }
    return try FileManager.default.contentsOfDirectory(atPath: path("ckpt")).sorted()
  }
}

extension Scratch {
  /// 200 images, of which 160 train: ten steps of 16 an epoch.
  static func writeDigits(_ folder: String) throws {
    try write(Digits.lines(images: 200).joined(separator: "\n"), to: folder + "/data/digits.csv")
  }
}

/// One `baton-train`, built beside the tests; its output is read line by line, so that a test waits for what
/// it says and never for a time.
final class RankProcess {
  private let process: pid_t
  private let output: Int32
  private var pending: [UInt8] = []
  private var status: Int32?

  init(_ arguments: [String], _ environment: [String: String]) throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    for end in ends { try #require(fcntl(end, F_SETFD, FD_CLOEXEC) == 0) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO)
    let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appendingPathComponent("baton-train").path
    var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
    // With another kernel of OpenBLAS than this process they would not compute the same bits.
    var environment = environment
    environment["OPENBLAS_CORETYPE"] = ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"]
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    var process: pid_t = 0
    let failure = posix_spawn(&process, program, &actions, nil, &words, &variables)
    for pointer in words + variables { free(pointer) }
    posix_spawn_file_actions_destroy(&actions)
    close(ends[1])
    self.process = process
    output = ends[0]
    // Of what never started there is nothing to end: to signal number 0 is to signal this process's own group.
    if failure != 0 { status = 127 }
    try #require(failure == 0, "cannot start \(program): \(systemMessage(failure))")
  }

  deinit {
    if status == nil {
      kill(process, SIGKILL)
      var ignored: Int32 = 0
      waitpid(process, &ignored, 0)
    }
    close(output)
  }

  func signal(_ number: Int32) {
    kill(process, number)
  }

  /// Reads on to the next line that contains `text`; nil if the process ends before.
  func line(containing text: String) throws -> String? {
    while let line = try nextLine() {
      if line.contains(text) { return line }
    }
    return nil
  }

  /// Reads the rest of the output and returns the exit status, 128 + n for a signal.
  func wait() throws -> Int32 {
    while try nextLine() != nil {}
    var raw: Int32 = 0
    try #require(waitpid(process, &raw, 0) == process)
    let code = raw & 0x7F == 0 ? (raw >> 8) & 0xFF : 128 + (raw & 0x7F)
    status = code
    return code
  }

  private func nextLine() throws -> String? {
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        defer { pending.removeFirst(end + 1) }
        return String(decoding: pending[..<end], as: UTF8.self)
      }
      var buffer = [UInt8](repeating: 0, count: 4096)
      let got = read(output, &buffer, buffer.count)
      if got < 0 && errno == EINTR { continue }
      try #require(got >= 0)
      if got == 0 { return nil }
      pending += buffer[..<got]
    }
  }
}
