import Domain
import ObjectStorage
import Wire

/// `evict` and `verify`: what people and the controller do with replicas that are here.
struct ReplicaVerbs {
  let node: NodeFolder

  private var replicas: Replicas { Replicas(node: node) }

  /// Removes replicas, whole and partial; what an attempt uses, or somebody is staging, stays.
  func evict(_ input: [UInt8]) throws -> EvictionReport {
    let selection = try Codec.decode(ReplicaSelection.self, input)
    let used = try replicas.inUse()
    var report = EvictionReport(removed: [], inUse: [])
    for replica in try replicas.all() where selection.contains(replica.contentID) {
      if !used.contains(replica.name), try replicas.remove(replica.name) {
        report.removed.append(replica)
      } else {
        report.inUse.append(replica.name)
      }
    }
    return report
  }

  /// Reads replicas from the disk; a damaged one is marked so, and mended by the next who wants it.
  func verify(_ input: [UInt8]) throws -> VerificationReport {
    let selection = try Codec.decode(ReplicaSelection.self, input)
    var report = VerificationReport(replicas: [])
    for replica in try replicas.all() where selection.contains(replica.contentID) {
      guard let manifest = replicas.manifest(replica.name) else { continue }
      var found = VerificationReport.Replica(
        name: replica.name, contentID: replica.contentID, files: 0, bytes: .zero, corrupt: [])
      for entry in manifest.entries {
        let path = "\(replicas.path(replica.name))/\(entry.path)"
        found.files += 1
        found.bytes = found.bytes + ByteCount(Disk.status(path)?.size ?? 0)
        // What cannot be read is damaged, too.
        if (try? entry.checksum.matches(file: path, size: entry.size)) != true { found.corrupt.append(entry.path) }
      }
      // A replica that was evicted while it was read is not damaged.
      guard Disk.status(replicas.marker(replica.name)) != nil else { continue }
      if !found.corrupt.isEmpty { try replicas.distrust(replica.name) }
      report.replicas.append(found)
    }
    return report
  }
}

extension ReplicaSelection {
  /// Whether it is about replicas of `contentID`.
  func contains(_ contentID: String) -> Bool { contentIDs?.contains(contentID) ?? true }
}
