import ArgumentParser
import Foundation

/// Where programs are and where results go; the same for every bench.
struct BenchOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Folder of baton and batond. (default: that of this program)", valueName: "folder"))
  var bin: String?

  @Option(help: ArgumentHelp("Folder of baton-agent and baton-train for nodes.", valueName: "folder"))
  var nodeBin = ".build-node/release"

  @Option(help: ArgumentHelp("Folder of the SQL migrations.", valueName: "folder"))
  var migrations = "migrations"

  @Option(help: ArgumentHelp("Where NAME.json goes.", valueName: "folder"))
  var results = "benchmarks/results"

  @Option(help: ArgumentHelp("Where the testbed's folder is made.", valueName: "folder"))
  var scratch = "/tmp"

  @Flag(help: "Leave the logs of the testbed below --scratch.")
  var keepLogs = false

  /// `path` as an absolute one.
  static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }

  /// Folder of `baton` and `batond`.
  var binFolder: String {
    if let bin { return Self.absolute(bin) }
    let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    return program.deletingLastPathComponent().path
  }

  /// Folder of `baton-agent` and `baton-train`.
  var nodeBinFolder: String { Self.absolute(nodeBin) }

  /// A folder for one run of the bench `name`, which nothing else uses.
  func scratchFolder(_ name: String) -> String {
    "\(Self.absolute(scratch))/baton-bench-\(name)-\(ProcessInfo.processInfo.processIdentifier)"
  }
}

/// Why a bench has no figures.
struct BenchFailure: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }
}
