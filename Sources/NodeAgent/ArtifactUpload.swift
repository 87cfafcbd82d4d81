import Domain
import Glibc
import ObjectStorage
import Wire

/// Brings what the ranks left to be kept (`BATON_ARTIFACTS_DIR`) into the store: the smallest first, so that at a lease's
/// end most files are there.
struct ArtifactUpload: Sendable {
  /// A file below the folder.
  struct File: Hashable {
    var path: String
    var size: Int64
  }

  /// The folder on this node.
  var folder: String
  /// What the node keeps of the attempt, as in `ObjectLayout.attemptRecord`.
  var record: String
  var store: any ObjectStore

  /// Plain files below `folder`, the smallest first, and the paths of what is nothing of that kind and no folder.
  ///
  /// What ends in `.tmp` is not finished, and no artifact.
  static func find(in folder: String) throws(SystemError) -> (files: [File], others: [String]) {
    var files: [File] = []
    var others: [String] = []
    var open = [""]
    while let below = open.popLast() {
      for name in try Disk.names(in: "\(folder)/\(below)") where !name.hasSuffix(".tmp") {
        let path = below + name
        // What was removed in between is none of them.
        guard let status = Disk.status("\(folder)/\(path)") else { continue }
        if status.isFolder {
          open.append(path + "/")
        } else if status.isFile {
          files.append(File(path: path, size: status.size))
        } else {
          others.append(path)
        }
      }
    }
    return (files.sorted { ($0.size, $0.path) < ($1.size, $1.path) }, others.sorted())
  }

  /// Returns nil, or what is not kept and why.
  func run() async -> String? {
    let found: (files: [File], others: [String])
    do {
      found = try await Transfer.pool.run { [folder] in try Self.find(in: folder) }
    } catch {
      return "artifacts are not kept: \(error)"
    }
    var missing = found.others.map { (path: $0, why: "it is neither a file nor a folder") }
    for file in found.files {
      do {
        try await retrying {
          _ = try await store.put(
            ObjectLayout.artifact(record: record, path: file.path), from: .file(path: "\(folder)/\(file.path)"))
        }
      } catch {
        missing.append((file.path, "\(error)"))
      }
    }
    guard let first = missing.first else { return nil }
    let all = found.files.count + found.others.count
    return "\(missing.count) of \(counted(all, "artifact")) not kept; \(first.path): \(first.why)"
  }
}

/// Where the artifacts of this node are on their way.
enum ArtifactProgress {
  case notBegun
  case underWay
  case over
}

extension Supervisor {
  /// True also of a folder that cannot be read: the upload says why.
  private var hasArtifacts: Bool {
    Disk.status(folder.artifacts) != nil && (try? Disk.names(in: folder.artifacts))?.isEmpty != true
  }

  /// Whether what the ranks left is in the store, or cannot be; begins to bring it there.
  ///
  /// Comes after all else, since all else has to be there at a lease's end.
  func artifactsAreKept() -> Bool {
    if case .notBegun = artifacts {
      artifacts = hasArtifacts ? .underWay : .over
      if case .underWay = artifacts { beginArtifacts() }
    }
    if case .over = artifacts { return true }
    return false
  }

  private func beginArtifacts() {
    let record = ObjectLayout.attemptRecord(run: order.job.run, number: order.number, nodeRank: order.nodeRank)
    let upload = ArtifactUpload(folder: folder.artifacts, record: record, store: store)
    let mailbox = mailbox
    background.append(Task.detached { mailbox.post(.artifactsKept(failure: await upload.run())) })
  }

  func artifactsAreOver(_ failure: String?) {
    artifacts = .over
    if let failure { note(.artifactsMissing(reason: failure)) }
  }

  /// The lease is over.
  func artifactsAreCutOff() {
    if case .over = artifacts { return }
    artifacts = .over
    if hasArtifacts { note(.artifactsMissing(reason: "the lease ended before all artifacts were in the store")) }
  }
}
