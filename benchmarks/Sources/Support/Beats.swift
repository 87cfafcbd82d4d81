import Domain
import Foundation

/// The program that benches run on nodes, and what it leaves outside of them.
///
/// It counts steps, ten a second. For each it appends a line to a file outside the node, whose lines tell afterwards
/// which start of it lived when, whatever became of the node, its agent, or the controller.
struct BeatProgram: Sendable {
  /// Where the program is and where its lines go.
  let folder: String

  private var script: String { "\(folder)/beat.sh" }
  private var log: String { "\(folder)/beats.log" }

  /// Writes the program into `folder`.
  init(in folder: String) throws {
    self.folder = folder
    try Data(Self.text.utf8).write(to: URL(fileURLWithPath: script))
    try Data().write(to: URL(fileURLWithPath: log))
  }

  /// A job that counts to `steps` on each of `nodes`; it takes a tenth of a second for each step.
  ///
  /// On more than one node it saves nothing.
  /// Told to leave, it saves at once and then stays for `linger` seconds, as a program does that is slow to leave.
  /// A save is `size`; it is asked for one `every` so many seconds, where that is said.
  func job(
    _ name: String, steps: Int, nodes: Int = 1, linger: Int = 0, lease: String? = nil, data: String? = nil,
    size: ByteCount = .mebibytes(1), every: Int? = nil
  ) -> String {
    """
    name: \(name)
    resources: {nodes: \(nodes)}
    run: [bash, \(script), \(log), "\(steps)", "\(linger)", "\(size.bytes)"]
    checkpoint: {grace: 30s\(every.map { ", every: \($0)s" } ?? "")}
    \(lease.map { "lease: {use: \($0)}" } ?? "")
    \(data.map { "data: [\($0)]" } ?? "")

    """
  }

  /// All lines that were written so far; a line that is being written is left out.
  func beats() throws -> [Beat] {
    let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: log)), as: UTF8.self)
    return text.split(separator: "\n").compactMap(Beat.init)
  }

  /// The program itself.
  ///
  /// Signals only set a variable, and the loop acts on it: a handler that saves by itself could save half a step.
  private static let text = """
    #!/bin/bash
    # The program of Baton's benches: counts to $2, tells $1 of each step. Written by baton-bench.
    log=$1 steps=$2 linger=$3 size=$4
    asked= leave= saved=
    trap 'asked=1' USR1
    trap 'leave=1' TERM
    exec {tick}<> <(:)
    born=$EPOCHREALTIME
    say() { echo "$EPOCHREALTIME $1 $BATON_JOB_ID $BATON_ATTEMPT $BATON_NODE_RANK $$@$born $step" >>"$log"; }
    pause() { read -rt "$1" -u "$tick"; }
    save() {
      local folder=$BATON_CHECKPOINT_DIR/step-$step
      [ "$saved" != "$step" ] && [ "$BATON_NUM_NODES" = 1 ] || return 0
      mkdir -p "$folder.tmp"
      echo "$step" >"$folder.tmp/step"
      head -c "$size" /dev/urandom >"$folder.tmp/state"
      mv "$folder.tmp" "$folder"
      saved=$step
      say save
    }
    step=0
    [ -z "$BATON_RESUME_FROM" ] || step=$(<"$BATON_RESUME_FROM/step")
    say start
    echo "started at step $step"
    while [ "$step" -lt "$steps" ]; do
      pause 0.1
      step=$((step + 1))
      [ "$BATON_NODE_RANK" != 0 ] ||
        echo "{\\"step\\":$step,\\"metric\\":\\"beat\\",\\"value\\":$step,\\"time\\":$EPOCHREALTIME}" >>"$BATON_METRICS"
      say beat
      if [ -n "$leave" ]; then
        save
        say final
        for ((i = 0; i < linger * 10; i++)); do
          pause 0.1
          say linger
        done
        exit 85
      fi
      [ -z "$asked" ] || { asked=; save; }
    done
    save
    say done

    """
}

/// One line of the program: that it lived, and what it did.
struct Beat: Sendable {
  /// Seconds since 1970.
  var at: Double
  /// `start`, `beat`, `save`, `final`, `linger`, `done`.
  var word: String
  var job: Int64
  var attempt: Int
  var nodeRank: Int
  /// Which start of it: its process number on its node, and when it began.
  var life: String
  var step: Int

  init?(_ line: Substring) {
    let fields = line.split(separator: " ")
    guard fields.count == 7, let at = Double(fields[0]), let job = Int64(fields[2]), let attempt = Int(fields[3]),
      let nodeRank = Int(fields[4]), let step = Int(fields[6])
    else { return nil }
    self.at = at
    word = String(fields[1])
    self.job = job
    self.attempt = attempt
    self.nodeRank = nodeRank
    life = "\(nodeRank):\(fields[5])"
    self.step = step
  }
}

/// What the lines of one job say of its starts.
struct Lives: Sendable {
  /// One start of the program.
  struct Life: Sendable {
    var attempt: Int
    var nodeRank: Int
    var from: Double
    var to: Double
  }

  /// By when they began.
  let all: [Life]

  init(of job: JobID, in beats: [Beat]) {
    let own = Dictionary(grouping: beats.filter { $0.job == job.rawValue }, by: \.life)
    all = own.values.compactMap { lines in
      guard let first = lines.min(by: { $0.at < $1.at }), let last = lines.max(by: { $0.at < $1.at }) else {
        return nil
      }
      return Life(attempt: first.attempt, nodeRank: first.nodeRank, from: first.at, to: last.at)
    }.sorted { $0.from < $1.from }
  }

  /// Starts that should not have been: a second one of the same rank of an attempt, and one that began while another
  /// attempt lived.
  var doubleStarts: Int {
    all.indices.dropFirst().count(where: { index in
      let life = all[index]
      return all[..<index].contains { other in
        other.attempt == life.attempt ? other.nodeRank == life.nodeRank : other.to > life.from
      }
    })
  }
}
