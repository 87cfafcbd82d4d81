import Foundation

/// The programs that are installed beside this one.
enum OwnPrograms {
  /// The folder of this program.
  static func folder() throws(CommandFailure) -> String {
    do {
      let path = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      return URL(fileURLWithPath: path).deletingLastPathComponent().path
    } catch {
      throw CommandFailure(.internalError, "cannot tell where this program is (\(error.localizedDescription))")
    }
  }

  /// The program `name` beside this one.
  static func path(of name: String) throws(CommandFailure) -> String {
    let path = try folder() + "/" + name
    guard FileManager.default.isExecutableFile(atPath: path) else {
      throw CommandFailure(.configuration, "there is no program \(path): install \(name) beside baton, or build it")
    }
    return path
  }
}
