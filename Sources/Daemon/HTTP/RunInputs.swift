import Domain
import Foundation
import ObjectStorage
import Wire

/// What one run went in with, as texts by key; a value, so that comparing is pure.
struct RunInputs: Sendable {
  /// By section, in the order in which they are shown.
  var sections: [(name: String, values: [String: String])] {
    [
      ("job", job), ("code", code), ("data", data), ("seeds", seeds), ("topology", topology),
      ("environment", environment), ("packages", packages),
    ]
  }

  /// The job file, key by key.
  var job: [String: String] = [:]
  /// Commit, hash, branch.
  var code: [String: String] = [:]
  /// Versions, by name of the data set.
  var data: [String: String] = [:]
  /// Seeds.
  var seeds: [String: String] = [:]
  /// Nodes, GPUs, ranks.
  var topology: [String: String] = [:]
  /// What stood around the ranks.
  var environment: [String: String] = [:]
  /// Python packages.
  var packages: [String: String] = [:]
  /// The captured files; nil where none were.
  var files: [CodeArchive.File]?
}

extension RunInputs {
  /// What `view`, of a job of `spec` without secrets, went in with.
  init(_ view: RunView, spec: JobSpec, files: [CodeArchive.File]?) throws {
    self.files = files
    for (path, value) in try FlatJSON.leaves(of: spec) {
      let key = FlatJSON.jobFileKey(path)
      // They have sections of their own, with what was pinned.
      guard !key.hasPrefix("data["), !key.hasPrefix("seeds."), key != "name" else { continue }
      job[key] = value
    }
    let source = view.provenance.source
    code["commit"] = source.gitCommit
    code["changes"] = source.gitDirty.map { $0 ? "yes" : "no" }
    code["hash"] = source.code.map { String($0.sha256.prefix(12)) }
    for set in view.provenance.datasets { data[set.name] = "version \(set.version) (\(set.contentID.prefix(12)))" }
    for request in spec.data where request.mode != .copy {
      data[request.name, default: ""] += ", mode \(request.mode.rawValue)"
    }
    if let from = view.startedFrom { data["starts from"] = "\(from.run) step \(from.step)" }
    seeds["global"] = "\(view.provenance.seed)"
    for attempt in view.attempts {
      Self.add(&topology, "nodes", "\(attempt.nodes.count)")
      if let ranks = attempt.worldSize { Self.add(&topology, "ranks", "\(ranks)") }
    }
    for node in view.provenance.nodes {
      Self.add(&topology, "node type", node.nodeType)
      if !node.gpus.isEmpty { Self.add(&topology, "GPUs of a node", node.gpus.joined(separator: ", ")) }
    }
    for one in view.provenance.environments ?? [] {
      for (key, value) in one.facts { Self.add(&environment, key, value) }
      for (key, value) in one.packages { Self.add(&packages, key, value) }
    }
  }

  /// Where it was not the same all along, all of it: `2 | 4`.
  private static func add(_ values: inout [String: String], _ key: String, _ value: String) {
    guard let known = values[key] else {
      values[key] = value
      return
    }
    let parts = known.components(separatedBy: " | ")
    if !parts.contains(value) { values[key] = known + " | " + value }
  }

  /// What is not the same in all of `inputs`, section by section, keys in order.
  static func differences(_ inputs: [RunInputs]) -> [RunSetComparison.InputDifference] {
    guard let first = inputs.first else { return [] }
    var found: [RunSetComparison.InputDifference] = []
    for place in first.sections.indices {
      let all = inputs.map { $0.sections[place].values }
      for key in Set(all.flatMap(\.keys)).sorted() {
        let values = all.map { $0[key] }
        if Set(values).count > 1 { found.append(.init(section: first.sections[place].name, key: key, values: values)) }
      }
    }
    return found
  }

  /// More files than these are named without their hunks.
  private static let hunksMost = 60
  private static let textBytesMost = 512 << 10

  /// Where the files of `other` are not those of this one, by path; empty where one of both has none.
  func fileDifferences(to other: RunInputs, run: RunID) -> [RunSetComparison.FileDifference] {
    guard let files, let others = other.files else { return [] }
    let old = Dictionary(files.map { ($0.path, $0.content) }) { first, _ in first }
    let new = Dictionary(others.map { ($0.path, $0.content) }) { first, _ in first }
    var found: [RunSetComparison.FileDifference] = []
    for path in Set(old.keys).union(new.keys).sorted() where old[path] != new[path] {
      let change = old[path] == nil ? "added" : new[path] == nil ? "removed" : "changed"
      let diff = found.count < Self.hunksMost ? Self.hunks(old[path], new[path]) : nil
      found.append(.init(run: run, path: path, change: change, diff: diff))
    }
    return found
  }

  private static func hunks(_ old: CodeArchive.File.Content?, _ new: CodeArchive.File.Content?) -> String? {
    guard let before = text(old), let after = text(new) else { return nil }
    let diff = LineDiff(before, after)
    return diff.isEmpty ? nil : diff.unified()
  }

  /// The text of a file, empty for none; nil for what is no text.
  private static func text(_ content: CodeArchive.File.Content?) -> String? {
    switch content {
    case nil: ""
    case .link(let target): "-> \(target)\n"
    case .bytes(let bytes, _):
      bytes.count <= textBytesMost && !bytes.contains(0) ? String(validating: bytes, as: UTF8.self) : nil
    }
  }
}
