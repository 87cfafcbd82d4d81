import Domain
import ObjectStorage
import Wire

extension Supervisor {
  /// Serves what will be staged to the other nodes of the attempt, and says where; a node that is alone asks holders only.
  ///
  /// Where that cannot be, this node brings all from the store; the others find out.
  func openExchange() {
    // Nobody else has what is only this node's share.
    let isShared = order.resume != nil || order.datasets.contains { $0.mode != .shard }
    guard let key = order.exchange, order.nodeAddresses.count > 1 || order.holders != nil, isShared else { return }
    do {
      let exchange = try Exchange(
        key, rank: order.nodeRank, addresses: order.nodeAddresses, holders: order.holders)
      self.exchange = exchange
      if let port = exchange.port { note(.serving(port: port)) }
    } catch {
      complain("exchange: \(error)")
    }
  }
}

extension Stager.Wishes {
  /// What an attempt needs on its node.
  init(_ order: AttemptOrder, _ folder: AttemptFolder) {
    // What is put back where a program looks for it is there twice.
    let again = order.programSaves == nil ? .zero : order.resume?.total ?? .zero
    self.init(
      datasets: order.datasets, resume: order.resume.map { ($0, folder.resume) }, links: folder.data,
      reserve: order.reserve + again, pinned: Set(order.pinned ?? []), nodeRank: order.nodeRank,
      nodeCount: order.nodeAddresses.count, code: order.code.map { ($0, folder.work) })
  }
}
