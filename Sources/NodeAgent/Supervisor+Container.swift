import Domain
import Glibc
import ObjectStorage
import Wire

extension Supervisor {
  /// The command of a rank: the job's own, in its image where it has one.
  func command(of rank: Int, _ variables: [String: String]) throws -> [String] {
    let command = try commandWords().map { RankEnvironment.expand($0, with: variables) }
    guard let container = order.container else { return command }
    return container.wrapping(
      command, variables: variables.keys, mounts: mounts, folder: workFolder, pidFile: pidFile(of: rank),
      hasGPUs: !order.gpus.isEmpty)
  }

  /// The process below which a rank's program is looked for when it gets a signal.
  ///
  /// The process that was started may be the one that talks to the container, and what is in the container not below it.
  func top(of rank: Rank) -> pid_t {
    guard order.container?.runtime == .podman, let bytes = try? Disk.readAll(pidFile(of: rank.rank)),
      let pid = pid_t(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)), pid > 1,
      ProcessTable.entry(pid) != nil
    else { return rank.pid }
    return pid
  }

  private func pidFile(of rank: Int) -> String { "\(folder.path)/container-\(rank).pid" }

  private var mounts: ContainerSpec.Mounts {
    let datasets = order.datasets.map { dataset in
      node.replica(ReplicaName(dataset, rank: order.nodeRank, count: order.nodeAddresses.count).folder)
    }
    return ContainerSpec.Mounts(
      writable: [workFolder, folder.checkpoints, folder.artifacts, folder.metrics],
      readOnly: [folder.resume, folder.nodeFile] + datasets + (datasets.count > 1 ? [folder.data] : []))
  }
}
