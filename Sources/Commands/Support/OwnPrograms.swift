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

  /// A file or folder that comes with Baton: below `share/baton` beside `bin`, or in the sources that this program was
  /// built in.
  static func resource(_ name: String) throws(CommandFailure) -> String {
    var folder = URL(fileURLWithPath: try folder())
    var candidates = [folder.deletingLastPathComponent().appendingPathComponent("share/baton").path]
    while folder.path != "/" {
      folder = folder.deletingLastPathComponent()
      candidates.append(folder.path)
    }
    guard let home = candidates.first(where: { FileManager.default.fileExists(atPath: "\($0)/\(name)") }) else {
      throw CommandFailure(
        .configuration, "cannot find \(name), which comes with Baton: install it as \(candidates[0])/\(name)")
    }
    return "\(home)/\(name)"
  }
}
