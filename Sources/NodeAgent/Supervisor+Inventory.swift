import CLinux
import Dispatch
import Domain
import Glibc
import ObjectStorage
import Wire

/// What hears an inventory: the pipe that it writes to, and what it has said.
extension Supervisor {
  /// How long anybody waits for it.
  private static let patience = TimeSpan.seconds(300)
  /// How long ranks that ended well wait for it: what ran so shortly has an environment too.
  static let inventoryAfterRanks = TimeSpan.seconds(10)

  /// Begins to find out what stands around the ranks, with the `variables` of one; the journal has it once it is known.
  ///
  /// Nothing waits for it, and nothing follows where it cannot be begun.
  func beginInventory(_ variables: [String: String]) {
    var ends: [Int32] = [0, 0]
    guard pipe2(&ends, O_CLOEXEC) == 0 else { return complain("inventory: \(String(cString: strerror(errno)))") }
    let (reader, writer) = (ends[0], ends[1])
    let command = order.command.map { RankEnvironment.expand($0, with: variables) }
    let image = (try? Codec.line(order.container)).map { String(decoding: $0, as: UTF8.self) } ?? "null"
    let spawn = Spawn(
      program: "/proc/self/exe", arguments: ["baton-agent", "inventory", "\(getpid())", image] + command,
      environment: variables,
      folder: workFolder, output: "/dev/null", extra: writer)
    let started = Result { () throws(SystemError) in try spawn.start() }
    close(writer)
    guard case .success(let pid) = started else {
      close(reader)
      return
    }
    inventoryUntil = .now() + Self.inventoryAfterRanks
    let mailbox = mailbox
    DispatchQueue(label: "baton.inventory", qos: .utility).async {
      mailbox.post(.inventory(Supervisor.hear(Descriptor(owning: reader), pid)))
    }
  }

  /// All that it says until it is done, or out of time: then it is killed.
  private static func hear(_ pipe: consuming Descriptor, _ pid: pid_t) -> NodeEnvironment {
    let limit = BootInstant.now() + patience
    var bytes: [UInt8] = []
    while waitReadable([pipe.raw], until: limit)[0], let piece = try? Disk.readPipe(pipe), !piece.isEmpty {
      bytes += piece
    }
    if BootInstant.now() >= limit { kill(-pid, SIGKILL) }
    var found = NodeEnvironment()
    // A last line that was cut is no line.
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      if let look = try? Codec.decode(NodeEnvironment.self, line) { found.add(look) }
    }
    return found
  }

  func inventoryIsTaken(_ found: NodeEnvironment) {
    inventoryUntil = nil
    if !found.facts.isEmpty { note(.environment(found)) }
  }

  /// Whether ranks that have all ended well are still waited for on its account.
  var isTakingInventory: Bool {
    guard terminated == nil, !isKilled, let inventoryUntil else { return false }
    return BootInstant.now() < inventoryUntil
  }

  /// Where ranks start.
  var workFolder: String { folder.work(of: order) }
}
