import Foundation
import Glibc

/// What one run of a program took.
struct Measured: Sendable, Decodable {
  /// Its exit code, or minus the signal that ended it.
  var status: Int32
  /// On the clock on the wall.
  var seconds: Double
  /// Of it and of all that it started.
  var cpuSeconds: Double
  /// Of the largest of its processes.
  var peakBytes: Double
  /// Of the servers that it asked, meanwhile.
  var serverSeconds = 0.0
  /// From its end until all that it wrote was on the disk.
  var flushSeconds = 0.0

  /// Until what it brought is there after a loss of power.
  var durableSeconds: Double { seconds + flushSeconds }

  private enum CodingKeys: String, CodingKey { case status, seconds, cpuSeconds, peakBytes }

  /// Runs `command` to its end, by `measure.py`; what it says goes to `output`.
  ///
  /// Throws, with the end of what it said, unless it exits with 0.
  static func run(
    _ command: [String], environment: [String: String] = [:], input: String? = nil, output: String
  ) async throws -> Measured {
    let text = try await Child.checked(
      "python3",
      ["benchmarks/measure.py"] + (input.map { ["--input", $0] } ?? []) + ["--output", output, "--"] + command,
      environment: environment)
    let measured = try JSONDecoder().decode(Measured.self, from: Data(text.utf8))
    guard measured.status == 0 else {
      let said = String(decoding: try Data(contentsOf: URL(fileURLWithPath: output)).suffix(1000), as: UTF8.self)
      throw BenchFailure("\(command.joined(separator: " ")): status \(measured.status)\n\(said)")
    }
    return measured
  }

  /// Brings all that was written on this machine to its disks, so that the next run does not pay for the last.
  static func settle() async {
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        sync()
        continuation.resume()
      }
    }
  }
}

/// Processor time that processes used so far, in seconds; one that is gone counts nothing.
func usedSeconds(of processes: some Sequence<Int32>) -> Double {
  let ticks = processes.reduce(0.0) { sum, process in
    guard let data = FileManager.default.contents(atPath: "/proc/\(process)/stat") else { return sum }
    // The name before the last bracket may contain anything.
    let rest = String(decoding: data, as: UTF8.self).split(separator: ")").last ?? ""
    let fields = rest.split(separator: " ")
    guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return sum }
    return sum + user + system
  }
  return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
}
