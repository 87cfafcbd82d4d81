import APIClient
import Domain
import Foundation
import ObjectStorage
import Wire

/// Packs the git work tree that a job file lies in: its files as they are now, changed or not, known to git or not.
struct CodeCollector {
  /// The folder of the job file.
  let folder: String
  let environment: [String: String]
  var limits = CodeLimits()

  /// Code, and the tar that it is named by.
  struct Packed: Sendable {
    var capture: CodeCapture
    var tar: [UInt8]
  }

  private static let listBytesMost = 64 << 20

  /// All of it within the limits; nil outside a git work tree, or where git cannot tell.
  ///
  /// What git ignores is not looked at. A file that vanishes or cannot be read meanwhile is left out, and named.
  func pack() async -> Packed? {
    guard let root = await git("rev-parse", "--show-toplevel").map(Self.line), !root.isEmpty,
      let prefix = await git("rev-parse", "--show-prefix").map(Self.line),
      let tracked = await git("-C", root, "ls-files", "-z", "--stage"),
      let untracked = await git("-C", root, "ls-files", "-z", "--others", "--exclude-standard")
    else { return nil }
    let place = prefix.hasSuffix("/") ? String(prefix.dropLast()) : prefix
    var leftOut: [CodeCapture.LeftOut] = []
    var candidates: [CodeCandidate] = []
    var seen: Set<String> = []
    for line in Self.fields(tracked) {
      // `MODE HASH STAGE<tab>PATH`; one in conflict comes three times.
      guard let tab = line.firstIndex(of: "\t") else { continue }
      let path = String(line[line.index(after: tab)...])
      guard seen.insert(path).inserted else { continue }
      if line.hasPrefix("160000 ") {
        leftOut.append(.init(path: path, bytes: nil, reason: "a submodule"))
      } else if let size = Self.size(of: "\(root)/\(path)") {
        candidates.append(CodeCandidate(path: path, bytes: size, isTracked: true))
      }
    }
    for path in Self.fields(untracked) where !path.hasSuffix("/") {
      guard let size = Self.size(of: "\(root)/\(path)") else { continue }
      candidates.append(CodeCandidate(path: path, bytes: size, isTracked: false))
    }
    let choice = limits.choose(candidates, folder: place)
    leftOut += choice.leftOut
    var files: [CodeArchive.File] = []
    var strangers: [String] = []
    for candidate in choice.chosen {
      guard CodeArchive.isInside(candidate.path), let content = Self.content(of: "\(root)/\(candidate.path)") else {
        leftOut.append(.init(path: candidate.path, bytes: candidate.bytes, reason: "it cannot be read"))
        continue
      }
      files.append(CodeArchive.File(path: candidate.path, content: content))
      if !candidate.isTracked { strangers.append(candidate.path) }
    }
    let tar = CodeArchive.pack(files)
    return Packed(
      capture: CodeCapture(
        sha256: CodeArchive.sha256(of: tar), bytes: ByteCount(Int64(tar.count)), files: files.count, folder: place,
        untracked: strangers, leftOut: leftOut.sorted { $0.path < $1.path }), tar: tar)
  }

  private func git(_ arguments: String...) async -> String? {
    var environment = environment
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    environment["GIT_TERMINAL_PROMPT"] = "0"
    let result = await ProgramRun.run(
      "git", arguments, in: folder, environment: environment, limit: Self.listBytesMost)
    guard let result, result.status == 0, !result.isCut else { return nil }
    return String(validating: result.output, as: UTF8.self)
  }

  private static func line(_ text: String) -> String { text.hasSuffix("\n") ? String(text.dropLast()) : text }

  private static func fields(_ text: String) -> [String] { text.split(separator: "\0").map(String.init) }

  /// The length of a plain file or a link; nil for anything else, or nothing.
  private static func size(of path: String) -> ByteCount? {
    guard let found = try? FileManager.default.attributesOfItem(atPath: path),
      let type = found[.type] as? FileAttributeType, type == .typeRegular || type == .typeSymbolicLink
    else { return nil }
    return ByteCount((found[.size] as? NSNumber)?.int64Value ?? 0)
  }

  private static func content(of path: String) -> CodeArchive.File.Content? {
    if let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path) { return .link(target: target) }
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    return .bytes(Array(data), isExecutable: FileManager.default.isExecutableFile(atPath: path))
  }
}

extension CodeCollector.Packed {
  /// Sends the tar, unless the project has sent it before.
  func send(_ client: BatonClient) async throws {
    let missing = try await client.missingBlobs(BlobList(sha256: [capture.sha256]))
    guard !missing.sha256.isEmpty else { return }
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("baton-code-\(UUID().uuidString)")
    defer { unlink(file.path) }
    do {
      try Data(tar).write(to: file, options: .withoutOverwriting)
    } catch {
      throw CommandFailure(.tryLater, "cannot write the code to \(file.path): \(error.localizedDescription)")
    }
    try await client.uploadBlob(sha256: capture.sha256, path: file.path, size: capture.bytes)
  }

  /// What was not captured, as a sentence; nil where all was.
  var warning: String? {
    guard let first = capture.leftOut.first else { return nil }
    let more = capture.leftOut.count > 1 ? ", and \(counted(capture.leftOut.count - 1, "more file"))" : ""
    return "not captured of the work tree: \(first.path) (\(first.reason))\(more); `baton run show` lists them"
  }
}
