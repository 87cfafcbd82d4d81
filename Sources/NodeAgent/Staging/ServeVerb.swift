import Dispatch
import Domain
import Glibc
import ObjectStorage
import Wire

/// `serve`: hands replicas of this node to others that stage them, in the foreground of whoever asked.
///
/// It holds nothing: who needs the room takes a replica that is served, and `serve` ends. It ends with its input, once
/// nobody has asked for long, and where nobody reads what it says any more.
struct ServeVerb: Sendable {
  let node: NodeFolder
  /// Who is to ask reads the manifest first, and makes room.
  var idleLimit = TimeSpan.minutes(2)

  private var replicas: Replicas { Replicas(node: node) }

  /// Serves what `input` orders; false where it did not begin.
  func run(_ input: [UInt8]) -> Bool {
    signal(SIGPIPE, SIG_IGN)
    let order: ServeOrder
    do {
      order = try Codec.decode(ServeOrder.self, input)
    } catch {
      say(.refused("the order cannot be read: \(error)"))
      return false
    }
    if let refusal = check(order) {
      say(.refused(refusal))
      return false
    }
    let here = order.datasets.filter { $0.mode == .copy && isHere($0.contentID) }
    guard !here.isEmpty else {
      say(.refused("there is no copy here of what is wanted"))
      return false
    }
    guard let key = ExchangeKey(hex: order.exchange.key) else {
      say(.refused("the order's key for the exchange is no key"))
      return false
    }
    let shelves = Shelves()
    do {
      let server = try PeerServer(host: order.address, key: key) { shelves.shelf($0) }
      say(.serving(port: server.port, contentIDs: here.map(\.contentID)))
      let store = order.store.open()
      for dataset in here { Task.detached { await offer(dataset, on: shelves, StoreReader(store: store, tries: 2)) } }
      wait(server, here)
      server.close()
    } catch {
      say(.refused("it cannot listen: \(error)"))
      return false
    }
    return true
  }

  private func check(_ order: ServeOrder) -> String? {
    guard order.version == AgentProtocol.version else {
      return
        "the order speaks protocol \(order.version), this agent \(AgentProtocol.version): push the agent again"
    }
    if let refusal = Verbs.checkContentIDs(order.datasets) { return refusal }
    return Supervisor.admit(order.controllerEpoch, node)
  }

  /// Whether a copy is there as a whole; whoever gets a piece of it looks at every byte.
  private func isHere(_ name: String) -> Bool {
    Disk.status(replicas.path(name))?.isFolder == true && Disk.status(replicas.marker(name)) != nil
  }

  /// Puts a copy on its shelf, once the store has said what is in which piece.
  private func offer(_ dataset: DatasetOrder, on shelves: Shelves, _ reader: StoreReader) async {
    let name = ReplicaName(dataset, rank: 0, count: 1)
    do {
      let plan = try await DatasetPlan.read(dataset, name, reader).transfer
      // It is wanted: others are evicted before it.
      try await Transfer.pool.run {
        if isHere(name.folder) { try replicas.use(name.folder, dataset.total) }
      }
      shelves.shelf(for: plan).opens(
        PartialFolder(path: replicas.path(name.folder), plan: plan), pieces: Array(plan.pieces.indices))
    } catch {
      // Who asks for it is told that it is not there yet, and goes to the store.
      complain("serve: \(dataset.name): \(error)")
    }
  }

  private func wait(_ server: PeerServer, _ here: [DatasetOrder]) {
    let isOver = DispatchSemaphore(value: 0)
    DispatchQueue(label: "baton.input").async {
      // An input that cannot be read has ended, too: whoever ordered it is gone.
      while let line = try? Agent.inputLine(), !line.isEmpty {}
      isOver.signal()
    }
    while isOver.wait(timeout: .now() + 1) == .timedOut {
      guard server.idleTime < idleLimit, here.allSatisfy({ isHere($0.contentID) }) else { return }
      say(.alive)
    }
  }

  private func say(_ frame: ServeFrame) {
    do {
      try StandardOutput().write(try Codec.line(frame))
    } catch {
      // Nobody listens any more.
      exit(1)
    }
  }
}
