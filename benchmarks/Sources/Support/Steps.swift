import Domain
import Foundation

/// A program that computes on one processor, and what it tells of its steps.
struct StepProgram: Sendable {
  /// Where the program is and where its lines go.
  let folder: String

  private var script: String { "\(folder)/steps.sh" }
  private func log(_ job: JobID) -> String { "\(folder)/steps-\(job.rawValue).log" }

  /// As large as a save, and made of chance.
  var state: String { "\(folder)/state" }

  /// Writes the program into `folder`, and what it saves.
  init(in folder: String, size: ByteCount) throws {
    self.folder = folder
    try Data(Self.text.utf8).write(to: URL(fileURLWithPath: script))
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
  func job(_ name: String, seconds: Int, every: Int?) -> String {
    """
    name: \(name)
    run: [bash, \(script), \(folder), "\(seconds)"]
    checkpoint: {grace: 60s, keep: {last: 1}\(every.map { ", every: \($0)s" } ?? "")}
    lease: {use: cost}

    """
  }

  /// What the lines of `job` say so far.
  func times(of job: JobID) throws -> StepTimes {
    let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: log(job))), as: UTF8.self)
    var (times, total) = (StepTimes(), 0.0)
    var first: Double?
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.count == 3, let from = Double(fields[1]), let to = Double(fields[2]) else { continue }
      first = first ?? from
      times.seconds = to - (first ?? from)
      if fields[0] == "save" {
        times.saves += 1
        times.savingSeconds += to - from
        times.lastSaved = to
      } else {
        times.steps += 1
        total += to - from
      }
    }
    times.step = times.steps > 0 ? total / Double(times.steps) : 0
    return times
  }

  /// The program itself: each save has other bytes at the beginning of each chunk, so that none is sent before.
  private static let text = """
    #!/bin/bash
    # The program of `baton-bench checkpoint-cost`: computes for $2 seconds. Written by baton-bench.
    folder=$1 log=$1/steps-$BATON_JOB_ID.log
    end=$((${EPOCHREALTIME%.*} + $2))
    asked= leave=
    trap 'asked=1' USR1
    trap 'leave=1' TERM
    save() {
      local began=$EPOCHREALTIME target=$BATON_CHECKPOINT_DIR/step-$step size offset
      mkdir -p "$target.tmp"
      cp "$folder/state" "$target.tmp/state"
      size=$(stat -c %s "$target.tmp/state")
      for ((offset = 0; offset < size; offset += 67108864)); do
        printf '%016d' "$step" | dd of="$target.tmp/state" bs=64K seek="$offset" oflag=seek_bytes conv=notrunc status=none
      done
      mv "$target.tmp" "$target"
      echo "save $began $EPOCHREALTIME" >>"$log"
    }
    step=0
    while [ "${EPOCHREALTIME%.*}" -lt "$end" ]; do
      began=$EPOCHREALTIME
      for ((i = 0; i < 20000; i++)); do :; done
      step=$((step + 1))
      echo "step $began $EPOCHREALTIME" >>"$log"
      [ -z "$leave" ] || { save; exit 85; }
      [ -z "$asked" ] || { asked=; save; }
    done

    """
}

/// How long the steps of a run took.
struct StepTimes: Sendable {
  /// Of a step in the mean, in seconds; saves are none.
  var step = 0.0
  var steps = 0
  var saves = 0
  /// In saves together.
  var savingSeconds = 0.0
  /// From the first step to the last.
  var seconds = 0.0
  /// When the last save was renamed into place, in seconds since 1970.
  var lastSaved: Double?
}
