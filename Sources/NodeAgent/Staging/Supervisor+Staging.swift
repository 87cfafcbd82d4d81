import Domain
import ObjectStorage
import Wire

extension Supervisor {
  func beginStaging() {
    openExchange()
    let mailbox = mailbox
    let stager = Stager(wishes: .init(order, folder), node: node, store: store, exchange: exchange) {
      mailbox.post(.stagingNews($0))
    }
    background.append(
      Task.detached { [order, folder] in
        do {
          let done = try await stager.run()
          if !order.setupReadsCode { try await Supervisor.putBack(order, folder) }
          mailbox.post(.staged(.success(done)))
        } catch {
          mailbox.post(.staged(.failure(error)))
        }
      })
  }

  func staged(_ result: Result<Stager.Done, any Error>) {
    guard case .staging = phase else { return }
    do {
      stagedData = try result.get()
      if setup == .awaitsCode { beginSetup() }
      goOnIfStaged()
    } catch {
      failStaging(error as? StagingFailure ?? .failed("\(error)"))
    }
  }

  /// Goes on once data and environment are there, and what the node has to be asked is known.
  func goOnIfStaged() {
    guard case .staging = phase, let done = stagedData, setup == .none, topologyAwaitedUntil == nil else { return }
    do {
      let ports = try FreePorts(
        1 + order.launcher.listeners(onNode: order.nodeRank, of: order.nodeAddresses.count))
      self.ports = ports
      phase = .staged
      note(
        .staged(
          port: ports.numbers[0], bytes: done.bytes, took: BootInstant.now() - start, brought: done.brought,
          rankPorts: ports.numbers.count > 1 ? Array(ports.numbers.dropFirst()) : nil))
    } catch {
      failStaging(.failed("\(error)"))
    }
  }

  func failStaging(_ failure: StagingFailure) {
    note(.stagingFailed(failure))
    outcome.staging = failure
    for task in background { task.cancel() }
    phase = .saving
    endSetup()
  }

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
    let tar = order.setupReadsCode ? folder.codeTar : nil
    self.init(
      datasets: order.datasets, resume: order.resume.map { ($0, folder.resume) }, links: folder.data,
      reserve: order.reserve + again, pinned: Set(order.pinned ?? []), nodeRank: order.nodeRank,
      nodeCount: order.nodeAddresses.count, code: order.code.map { ($0, folder.work, tar) })
  }
}
