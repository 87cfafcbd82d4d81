import APIClient
import ArgumentParser
import Domain
import Foundation
import ObjectStorage
import Wire

/// `baton run artifacts`.
struct RunArtifacts: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "artifacts",
    abstract: "What a run's ranks left in BATON_ARTIFACTS_DIR to be kept: a list, or with --into the files.",
    discussion: Help.examples(
      "baton run artifacts 17", "baton run artifacts 17 --into ./figures", "baton run artifacts 17 --all")
      + "\n\nOf a file that several attempts left the newest counts; --all has each, in folders attempt-N. What nodes other than "
      + "the first left comes into folders node-K.")

  @Argument(help: "Its id, as in 17 or run-17.")
  var run: String

  @Option(help: ArgumentHelp("A folder to bring them into, which must not be there yet.", valueName: "folder"))
  var into: String?

  @Flag(help: "Those of each attempt, and not only the newest of each path.")
  var all = false

  @OptionGroup var global: GlobalOptions

  func run() async throws {
    try await global.withClient { client, context in
      let listing = try await client.artifacts(ofRun: run, all: all)
      for missing in listing.missing ?? [] { context.console.note(ArtifactText.line(missing)) }
      if let into {
        try await ArtifactDownloader(client: client, run: run, console: context.console).run(
          listing.items, to: into, byAttempt: all)
      }
      try context.show(listing) {
        if let into {
          let total = listing.items.reduce(ByteCount.zero) { $0 + $1.bytes }
          return "\(counted(listing.items.count, "file")), \(total), in \(into)"
        }
        return context.table(
          ArtifactText.table(listing.items),
          empty: "no artifacts: what a program leaves in the folder BATON_ARTIFACTS_DIR is kept when an attempt ends")
      }
    }
  }
}

/// Artifacts for people.
enum ArtifactText {
  static func table(_ artifacts: [ArtifactView]) -> Table {
    var table = Table([
      .init("PATH", shrinks: true), .init("SIZE", isRight: true), .init("ATTEMPT", isRight: true, drops: 1),
      .init("NODE", isRight: true, drops: 0),
    ])
    for artifact in artifacts {
      table.add([
        .init(Printable.line(artifact.path)), "\(artifact.bytes)", "\(artifact.attempt)", "\(artifact.nodeRank)",
      ])
    }
    return table
  }

  /// `12 files, 3.40 MiB: baton run artifacts 17`, and what is not kept; nil where nothing was left.
  static func summary(_ listing: ArtifactListing, of run: RunID) -> String? {
    let total = listing.items.reduce(ByteCount.zero) { $0 + $1.bytes }
    let more = listing.unknown.map { Printable.line("perhaps more: \($0)") }
    let missing = listing.missing ?? []
    let lost = missing.first.map { first in
      "not kept: " + line(first) + (missing.count > 1 ? ", and of \(counted(missing.count - 1, "more node"))" : "")
    }
    let kept = listing.items.isEmpty ? nil : "\(counted(listing.items.count, "file")), \(total)"
    let parts = [kept, more, lost].compactMap { $0 }
    return parts.isEmpty ? nil : parts.joined(separator: "; ") + ": see `baton run artifacts \(run.rawValue)`"
  }

  /// What is not kept of a node.
  static func line(_ missing: MissingArtifacts) -> String {
    Printable.line("attempt \(missing.attempt), node \(missing.node): \(missing.reason)")
  }

  /// Where one comes in a folder of a person's.
  static func place(of artifact: ArtifactView, byAttempt: Bool) -> String {
    (byAttempt ? "attempt-\(artifact.attempt)/" : "")
      + (artifact.nodeRank == 0 ? "" : "node-\(artifact.nodeRank)/") + artifact.path
  }
}

extension BatonClient {
  /// What the ranks of a run left, or why the server does not tell, for who shows other things besides.
  func toldArtifacts(of run: RunView, glance: Bool = false) async throws -> ArtifactListing {
    do {
      return try await artifacts(ofRun: "\(run.id.rawValue)", glance: glance)
    } catch let error as ClientFailure {
      return ArtifactListing(now: run.job.submittedAt, items: [], unknown: "\(error)")
    }
  }
}

/// Brings artifacts into a folder that is there only when all of them are.
private struct ArtifactDownloader {
  let client: BatonClient
  let run: String
  let console: Console

  func run(_ artifacts: [ArtifactView], to target: String, byAttempt: Bool) async throws {
    let files = FileManager.default
    guard !files.fileExists(atPath: target) else {
      throw CommandFailure(.conflict, "\(target) is there already: name another folder")
    }
    let partial = target + ".partial"
    let progress = ProgressPrinter("downloading", total: artifacts.reduce(.zero) { $0 + $1.bytes }, console)
    do {
      if files.fileExists(atPath: partial) { try files.removeItem(atPath: partial) }
      try files.createDirectory(atPath: partial, withIntermediateDirectories: true)
      for artifact in artifacts {
        // What the server says is not to write elsewhere.
        guard CodeArchive.isInside(artifact.path) else {
          throw CommandFailure(.foundTrouble, "'\(Printable.line(artifact.path))' would lie outside of \(target)")
        }
        try await fetch(
          artifact, into: "\(partial)/\(ArtifactText.place(of: artifact, byAttempt: byAttempt))", progress)
      }
      progress.end()
      try files.moveItem(atPath: partial, toPath: target)
    } catch let error as CocoaError {
      throw CommandFailure(.badInput, "cannot write into \(partial): \(error.localizedDescription)")
    }
  }

  private func fetch(_ artifact: ArtifactView, into path: String, _ progress: ProgressPrinter) async throws {
    let url = URL(fileURLWithPath: path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    guard FileManager.default.createFile(atPath: path, contents: nil) else {
      throw CommandFailure(.badInput, "cannot make \(path): see whether the folder may be written, and has room")
    }
    let file = try FileHandle(forWritingTo: url)
    defer { file.closeFile() }
    var size: Int64 = 0
    for try await piece in try await client.data(of: artifact, ofRun: run) {
      try file.write(contentsOf: piece)
      size += Int64(piece.count)
      progress.add(Int64(piece.count))
    }
    guard size == artifact.bytes.bytes else {
      throw CommandFailure(.unreachable, "\(Printable.line(artifact.path)) was cut at \(ByteCount(size)): try again")
    }
  }
}
