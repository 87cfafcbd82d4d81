import Domain
import Foundation

/// A program that computes on one processor (`StepsProgram`), and what it tells of its steps.
struct StepProgram: Sendable {
  /// Where its lines go, and what it saves is.
  let folder: String
  private let program: String

  private func log(_ job: JobID) -> String { "\(folder)/steps-\(job.rawValue).log" }

  /// As large as a save, and made of chance.
  var state: String { "\(folder)/state" }

  /// Writes what the program saves into `folder`.
  init(in folder: String, size: ByteCount) throws {
    self.folder = folder
    program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    try Data().write(to: URL(fileURLWithPath: state))
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: state))
    defer { file.closeFile() }
    guard let chance = FileHandle(forReadingAtPath: "/dev/urandom") else { throw BenchFailure("no /dev/urandom") }
    defer { chance.closeFile() }
    var left = size.bytes
    while left > 0 {
      let piece = chance.readData(ofLength: Int(min(left, 4 << 20)))
      try file.write(contentsOf: piece)
      left -= Int64(piece.count)
    }
  }

  /// A job that computes for `seconds`, and is asked for a save `every` so many, where that is said.
  func job(_ name: String, seconds: Int, every: Int?, rests: Bool = false) -> String {
    """
    name: \(name)
    run: [\(program), steps, \(folder), "\(seconds)"\(rests ? ", --rests" : "")]
    checkpoint: {grace: 60s, keep: {last: 1}\(every.map { ", every: \($0)s" } ?? "")}
    lease: {use: cost}

    """
  }

  /// What the lines of `job` say so far.
  func times(of job: JobID) throws -> StepTimes {
    let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: log(job))), as: UTF8.self)
    var (times, steps) = (StepTimes(), [Double]())
    var first: Double?
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.count == 4, let from = Double(fields[1]), let to = Double(fields[2]) else { continue }
      first = first ?? from
      times.seconds = to - (first ?? from)
      if fields[0] == "save" {
        times.saves += 1
        times.savingSeconds += to - from
        times.lastSaved = to
      } else {
        steps.append(to - from)
      }
    }
    guard !steps.isEmpty else { return times }
    times.step = steps.reduce(0, +) / Double(steps.count)
    times.undisturbed = steps.sorted()[steps.count / 10]
    return times
  }
}

/// How long the steps of a run took.
struct StepTimes: Sendable {
  /// Of a step in the mean, in seconds; saves are none.
  var step = 0.0
  /// Of the step that nine of ten take longer than.
  var undisturbed = 0.0
  var saves = 0
  /// In saves together.
  var savingSeconds = 0.0
  /// From the first step to the last.
  var seconds = 0.0
  /// How much longer a step takes in the mean than one that nothing disturbs: what slows the whole machine for the time
  /// of a run is not in it.
  var delay: Double { step / undisturbed - 1 }
  /// When the last save was renamed into place, in seconds since 1970.
  var lastSaved: Double?
}
