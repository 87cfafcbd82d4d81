import ArgumentParser
import Foundation
import Synchronization

/// `baton-bench steps`: what `checkpoint-cost` runs on its node.
///
/// Computes alike in every step, on one processor; saves when it is asked to, and before it goes. It is compiled since a
/// shell counts slower from its first child on.
struct StepsProgram: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "steps", abstract: "The program of checkpoint-cost: computes, and saves when asked.",
    shouldDisplay: false)

  @Argument(help: "Where steps are noted, and the state to save is.")
  var folder: String

  @Argument(help: "How long to compute.")
  var seconds: Int

  @Flag(help: "Leave the processors alone, as a program does whose steps run on GPUs.")
  var rests = false

  private static let wasAsked = Atomic(false)
  private static let isToLeave = Atomic(false)

  func run() throws {
    signal(SIGUSR1) { _ in StepsProgram.wasAsked.store(true, ordering: .relaxed) }
    signal(SIGTERM) { _ in StepsProgram.isToLeave.store(true, ordering: .relaxed) }
    let environment = ProcessInfo.processInfo.environment
    guard let job = environment["BATON_JOB_ID"], let checkpoints = environment["BATON_CHECKPOINT_DIR"] else {
      throw BenchFailure("this is started by Baton only")
    }
    var notes = Notes(path: "\(folder)/steps-\(job).log")
    let end = Self.now + Double(seconds)
    var (step, value) = (0, UInt64(seconds))
    while Self.now < end {
      let began = Self.now
      // What a step is to a processor that waits for a GPU: nothing waits for this time but the step itself.
      if rests { usleep(10_000) } else { compute(&value) }
      step += 1
      // Told, so that it is computed.
      notes.add("step \(began) \(Self.now) \(value)")
      let leaves = Self.isToLeave.load(ordering: .relaxed)
      if leaves || Self.wasAsked.exchange(false, ordering: .relaxed) {
        let began = Self.now
        try save("\(checkpoints)/step-\(step)", step)
        notes.add("save \(began) \(Self.now) -")
        try notes.tell()
      }
      if leaves { throw ExitCode(85) }
    }
    try notes.tell()
  }

  private func compute(_ value: inout UInt64) {
    for _ in 0..<100_000_000 { value = value &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407 }
  }

  private static var now: Double { Date().timeIntervalSince1970 }

  /// Each save has other bytes at the beginning of each chunk, so that none is sent before.
  private func save(_ target: String, _ step: Int) throws {
    let temporary = "\(target).tmp"
    try FileManager.default.createDirectory(atPath: temporary, withIntermediateDirectories: true)
    let state = try FileHandle(forReadingFrom: URL(fileURLWithPath: "\(folder)/state"))
    defer { state.closeFile() }
    let path = "\(temporary)/state"
    guard FileManager.default.createFile(atPath: path, contents: nil) else { throw BenchFailure("cannot make \(path)") }
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    defer { file.closeFile() }
    var size = 0
    while var piece = try state.read(upToCount: 4 << 20), !piece.isEmpty {
      if size % (64 << 20) == 0 {
        let mark = Data(String(format: "%016d", step).utf8)
        piece.replaceSubrange(0..<min(mark.count, piece.count), with: mark)
      }
      try file.write(contentsOf: piece)
      size += piece.count
    }
    try FileManager.default.moveItem(atPath: temporary, toPath: target)
  }

  /// Lines that are kept in memory until a save or the end: the disk is that of the store as well here, and busy.
  private struct Notes {
    let path: String
    private var lines: [String] = []

    init(path: String) { self.path = path }

    mutating func add(_ line: String) { lines.append(line) }

    mutating func tell() throws {
      if !FileManager.default.fileExists(atPath: path) { try Data().write(to: URL(fileURLWithPath: path)) }
      let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
      defer { file.closeFile() }
      try file.seekToEnd()
      try file.write(contentsOf: Data(lines.map { $0 + "\n" }.joined().utf8))
      lines = []
    }
  }
}
