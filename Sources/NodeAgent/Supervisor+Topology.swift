import Domain
import Glibc
import ObjectStorage
import Wire

/// How far it is known how the node's GPUs are linked.
enum TopologyProgress: Hashable {
  /// Nobody has to know, or nothing is told of it.
  case none
  /// This process is asked, and waited for until then.
  case asked(pid_t, until: BootInstant)
  /// So.
  case known(GPUTopology)

  var found: GPUTopology? {
    guard case .known(let topology) = self else { return nil }
    return topology
  }
}

extension Supervisor {
  private static let topologyPatience = TimeSpan.seconds(10)

  /// Asks `nvidia-smi` how the GPUs are linked, beside what is staged, where several ranks are to share them.
  ///
  /// Nothing fails for it: where it tells nothing, ranks get GPUs in the order of their numbers.
  func askTopology() {
    guard order.launcher.gpus == .own, order.processesPerNode > 1, order.gpus.count > 1 else { return }
    do {
      try Disk.removeTree(folder.topology)
      let variables = ["PATH": "/usr/local/bin:/usr/bin:/bin"].merging(Self.ownEnvironment()) { $1 }
        .merging(ProcessTable.marker(of: folder)) { $1 }
      let pid = try startProgram(
        ["nvidia-smi", "topo", "-m"], variables, in: folder.path, output: folder.topology)
      topology = .asked(pid, until: .now() + Self.topologyPatience)
    } catch {
      complain("topology: \(error)")
    }
  }

  /// Takes what was told, if `pid` was who was asked.
  func topologyEnded(_ pid: pid_t, _ end: ProcessEnd) {
    guard case .asked(pid, _) = topology else { return }
    topology = .none
    if end == .exited(0), let text = try? Disk.readAll(folder.topology, limit: 1 << 20),
      let found = GPUTopology(matrix: String(decoding: text, as: UTF8.self))
    {
      topology = .known(found)
    } else {
      complain("topology: nvidia-smi topo -m tells nothing of it, ranks get GPUs by their numbers")
    }
    goOnIfStaged()
  }

  /// Until when an answer is waited for; nil where none is.
  var topologyAwaitedUntil: BootInstant? {
    guard case .asked(_, let until) = topology else { return nil }
    return until
  }

  /// Waits for no answer any more, if it is time for that.
  func giveUpTopology(_ now: BootInstant) {
    guard case .asked(let pid, let until) = topology, now >= until else { return }
    complain("topology: nvidia-smi does not answer")
    kill(-pid, SIGKILL)
    topology = .none
    goOnIfStaged()
  }
}
