import Foundation
import Glibc

/// The machine and the builds that were measured, in one line.
enum Machine {
  /// What stands in a result beside its figures.
  static func text(_ options: BenchOptions) -> String {
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let memory = Double(ProcessInfo.processInfo.physicalMemory) / Double(1 << 30)
    let load = (lines(of: "/proc/loadavg").first ?? "").split(separator: " ").first.map(String.init) ?? "?"
    return [
      "\(cores) cores", "\(String(format: "%.1f", memory)) GiB", processor, "Linux \(release)",
      "batond \(configuration(options.binFolder)), baton-agent \(configuration(options.nodeBinFolder))",
      "load \(load) at the end",
    ].joined(separator: ", ")
  }

  /// `debug` or `release`: SwiftPM names the folder of a build after its configuration.
  private static func configuration(_ folder: String) -> String {
    URL(fileURLWithPath: folder).resolvingSymlinksInPath().lastPathComponent
  }

  private static var processor: String {
    let line = lines(of: "/proc/cpuinfo").first { $0.hasPrefix("model name") }
    let model = line?.split(separator: ":", maxSplits: 1).last
    return model?.trimmingCharacters(in: .whitespaces) ?? "unknown processor"
  }

  private static var release: String { lines(of: "/proc/sys/kernel/osrelease").first ?? "unknown" }

  private static func lines(of path: String) -> [String] {
    guard let data = FileManager.default.contents(atPath: path) else { return [] }
    return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
  }
}

/// Seconds since 1970, by the clock that programs on this machine stamp their lines with.
func wallClock() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// How long `body` takes, in seconds.
func timed(_ body: () async throws -> Void) async rethrows -> Double {
  let start = ContinuousClock.now
  try await body()
  return (ContinuousClock.now - start).inSeconds
}

extension Duration {
  var inSeconds: Double {
    let (seconds, attoseconds) = components
    return Double(seconds) + Double(attoseconds) / 1e18
  }
}
