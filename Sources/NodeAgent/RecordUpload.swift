import Domain
import ObjectStorage
import Wire

/// Keeps what is worth keeping of an attempt on this node once the node is gone: what matters most goes first.
struct RecordUpload: Sendable {
  var order: AttemptOrder
  var folder: AttemptFolder
  var store: any ObjectStore
  /// Processes beside the ranks that ran here.
  var helpers: [String] = []

  private var record: String {
    ObjectLayout.attemptRecord(run: order.job.run, number: order.number, nodeRank: order.nodeRank)
  }

  /// Metrics, journal, logs; nil, or why something is missing.
  func run() async -> String? {
    var failure = await keep(folder.metrics, as: ObjectLayout.metrics(record: record))
    failure = await journal() ?? failure
    for local in 0..<order.processesPerNode {
      let rank = order.nodeRank * order.processesPerNode + local
      failure = await keep(folder.log(rank: rank), as: ObjectLayout.log(record: record, rank: rank)) ?? failure
    }
    for name in helpers {
      failure = await keep(folder.log(helper: name), as: ObjectLayout.log(record: record, helper: name)) ?? failure
    }
    return failure
  }

  /// The journal as it is now.
  func journal() async -> String? { await keep(folder.journal, as: ObjectLayout.journal(record: record)) }

  private func keep(_ path: String, as key: String) async -> String? {
    guard Disk.status(path) != nil else { return nil }
    do {
      try await retrying { _ = try await store.put(key, from: .file(path: path)) }
      return nil
    } catch {
      return "\(error)"
    }
  }
}
