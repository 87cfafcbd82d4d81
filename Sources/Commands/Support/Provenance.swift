import Foundation
import Wire

/// Finds out where a job's code comes from.
enum Provenance {
  /// Most of a diff that is kept.
  static let diffBytesMost = 1 << 20

  /// What is known of the code in `folder`; outside a git work tree, only folder and host.
  static func collect(
    folder: String, host: String, environment: [String: String]
  ) async -> SourceProvenance {
    var found = SourceProvenance(directory: folder, host: host)
    var environment = environment
    // Looking at a repository must not write to it, nor ask a person for anything.
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    environment["GIT_TERMINAL_PROMPT"] = "0"
    environment["LC_ALL"] = "C"
    func git(_ arguments: String..., limit: Int = 65_536) async -> ProgramRun.Result? {
      let result = await ProgramRun.run("git", arguments, in: folder, environment: environment, limit: limit)
      guard let result, result.status == 0 || result.isCut else { return nil }
      return result
    }
    guard let inside = await git("rev-parse", "--is-inside-work-tree"), line(inside) == "true" else { return found }
    found.gitCommit = await git("rev-parse", "--verify", "--quiet", "HEAD").flatMap(line)
    found.gitBranch = await git("symbolic-ref", "--short", "--quiet", "HEAD").flatMap(line)
    found.gitDirty = await git("status", "--porcelain").map { !$0.output.isEmpty }
    if found.gitCommit != nil, found.gitDirty == true {
      let diff = await git(
        "diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD", limit: diffBytesMost)
      found.gitDiff = diff.map { text($0.output) }.flatMap { $0.isEmpty ? nil : $0 }
    }
    return found
  }

  private static func line(_ result: ProgramRun.Result) -> String? {
    let line = result.text.trimmingCharacters(in: .whitespacesAndNewlines)
    return line.isEmpty ? nil : line
  }

  /// `bytes` as text; a character that the limit has cut in two is left out, so that the text is not longer.
  static func text(_ bytes: [UInt8]) -> String {
    var end = bytes.count
    var back = 0
    while back < 3, end > 0, bytes[end - 1] & 0xC0 == 0x80 {
      end -= 1
      back += 1
    }
    guard end > 0, bytes[end - 1] & 0xC0 == 0xC0 else { return String(decoding: bytes, as: UTF8.self) }
    let lead = bytes[end - 1]
    let expected = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1
    return String(decoding: back < expected ? bytes[..<(end - 1)] : bytes[...], as: UTF8.self)
  }
}
