import Dispatch
import Domain
import Glibc
import ObjectStorage
import Synchronization
import Wire

/// `stage`: brings data sets to this node ahead of any attempt, in the foreground of whoever asked.
///
/// Nothing of it outlives its session: it writes at least once a second, and a reader that is gone ends it. What came
/// is kept, and noted; the next one goes on. Who stages the same content at the same time waits for the other.
struct StageVerb: Sendable {
  let node: NodeFolder
  let limits = TransferState.Limits()

  /// Frames to standard output, one writer at a time.
  private final class Voice: Sendable {
    private let isStaged = Mutex(false)

    /// Whether the last word was that all is there.
    var saidStaged: Bool { isStaged.withLock { $0 } }

    func say(_ frame: StageFrame) {
      do {
        try isStaged.withLock { isStaged in
          try StandardOutput().write(try Codec.line(frame))
          if case .staged = frame { isStaged = true }
        }
      } catch {
        // Nobody listens any more.
        exit(1)
      }
    }
  }

  /// Stages what `input` orders; true when all is there.
  func run(_ input: [UInt8]) -> Bool {
    signal(SIGPIPE, SIG_IGN)
    let voice = Voice()
    let order: StageOrder
    do {
      order = try Codec.decode(StageOrder.self, input)
    } catch {
      voice.say(.refused("the order cannot be read: \(error)"))
      return false
    }
    if let refusal = check(order) {
      voice.say(.refused(refusal))
      return false
    }
    let done = DispatchSemaphore(value: 0)
    Task.detached {
      voice.say(await stage(order, voice))
      done.signal()
    }
    while done.wait(timeout: .now() + 1) == .timedOut { voice.say(.alive) }
    return voice.saidStaged
  }

  private func check(_ order: StageOrder) -> String? {
    guard order.version == AgentProtocol.version else {
      return
        "the order speaks protocol \(order.version), this agent \(AgentProtocol.version): push the agent again"
    }
    guard order.nodeAddresses.indices.contains(order.nodeRank) else {
      return "the order makes no sense: node \(order.nodeRank) of \(order.nodeAddresses.count)"
    }
    if let refusal = Verbs.checkContentIDs(order.datasets) { return refusal }
    return Supervisor.admit(order.controllerEpoch, node)
  }

  private func stage(_ order: StageOrder, _ voice: Voice) async -> StageFrame {
    let start = BootInstant.now()
    do {
      let exchange = try openExchange(order, voice)
      defer { exchange?.close() }
      let stager = Stager(
        wishes: .init(
          datasets: order.datasets, reserve: order.reserve, pinned: Set(order.pinned), nodeRank: order.nodeRank,
          nodeCount: order.nodeAddresses.count), node: node, store: order.store.open(), exchange: exchange,
        limits: limits
      ) { voice.say(.event($0)) }
      let done = try await stager.run()
      let took = BootInstant.now() - start
      await othersToFinish(exchange)
      return .staged(bytes: done.bytes, took: took, brought: done.brought)
    } catch {
      return .failed(error as? StagingFailure ?? .failed("\(error)"))
    }
  }

  private func openExchange(_ order: StageOrder, _ voice: Voice) throws -> Exchange? {
    guard let key = order.exchange, order.nodeAddresses.count > 1 || order.holders != nil else { return nil }
    let exchange = try Exchange(
      key, rank: order.nodeRank, addresses: order.nodeAddresses, holders: order.holders)
    guard let port = exchange.port else { return exchange }
    voice.say(.event(.serving(port: port)))
    DispatchQueue(label: "baton.notices").async {
      // Its end says nothing: an SSH client that has no more to tell closes it.
      while let lines = try? Agent.inputLine(), !lines.isEmpty {
        for line in lines.split(separator: UInt8(ascii: "\n")) {
          guard let notice = try? Codec.decode(PeerNotice.self, line) else { continue }
          exchange.peersServe(on: notice.ports)
        }
      }
    }
    return exchange
  }

  /// Others may still want pieces from here: who does, asks again after each stretch.
  private func othersToFinish(_ exchange: Exchange?) async {
    guard let exchange, exchange.knownPeers?.isEmpty == false else { return }
    while exchange.idleTime < Exchange.stretch + Exchange.stretch, !Task.isCancelled {
      do { try await Task.sleep(for: .milliseconds(200)) } catch { return }
    }
  }
}
