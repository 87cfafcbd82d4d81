import Foundation
import Testing

/// The Pythons that tests run frameworks with.
enum TestPython {
  /// Debian's, which has what Debian's packages brought: PyTorch 1.13, mpi4py.
  static let debian = "/usr/bin/python3"
  static let hasTorch = finds("torch")
  static let hasMPI = finds("mpi4py") && FileManager.default.isExecutableFile(atPath: "/usr/bin/mpirun")
  /// What to do where Debian's packages are missing.
  static let debianAdvice: Comment = "scripts/install-deps.sh frameworks installs the Debian packages that this needs"

  // What no Debian package has, made by `scripts/python/install.sh`; nil where it is not there.
  static let tensorflow = path("tensorflow")
  static let mxnet = path("mxnet")
  static let pytorch = path("pytorch")
  /// What to do where one is missing.
  static let advice: Comment = "name where scripts/python/install.sh put it in BATON_TEST_PYTHON"

  private static func path(_ name: String) -> String? {
    guard let folder = ProcessInfo.processInfo.environment["BATON_TEST_PYTHON"] else { return nil }
    let path = "\(folder)/\(name)/bin/python3"
    return FileManager.default.isExecutableFile(atPath: path) ? path : nil
  }

  /// Whether Debian's Python finds `module`, without loading it.
  private static func finds(_ module: String) -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: debian)
    process.arguments = ["-c", "import sys, importlib.util as u; sys.exit(u.find_spec('\(module)') is None)"]
    do { try process.run() } catch { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}
