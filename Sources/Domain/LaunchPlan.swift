/// What the ranks of one attempt have to know of each other; known once every node is staged.
public struct Rendezvous: Hashable, Sendable {
  /// The attempt: no rank of another one may join.
  public var attempt: AttemptID
  /// Addresses of all nodes, in rank order; not empty.
  public var nodeAddresses: [String]
  /// Where rank 0 listens, on the first node.
  public var masterPort: Int
  /// A port for each process that listens on one of its own, node by node, the ranks of a node before its helpers;
  /// empty where the launcher asks for none.
  public var rankPorts: [Int]

  /// Ranks of `attempt` on `nodeAddresses`.
  public init(attempt: AttemptID, nodeAddresses: [String], masterPort: Int, rankPorts: [Int] = []) {
    self.attempt = attempt
    self.nodeAddresses = nodeAddresses
    self.masterPort = masterPort
    self.rankPorts = rankPorts
  }
}

/// What one node has for its ranks.
public struct NodeShare: Hashable, Sendable {
  /// Position of the node in the attempt.
  public var nodeRank: Int
  /// Indices of the GPUs to use; empty for none.
  public var gpus: [Int]
  /// Processors of the node.
  public var cores: Int
  /// The interface by which the other nodes reach it; nil where that is not known.
  public var interface: String?
  /// How its GPUs are linked; nil where that is not known.
  public var topology: GPUTopology?

  /// The node of `nodeRank`.
  public init(nodeRank: Int, gpus: [Int], cores: Int, interface: String? = nil, topology: GPUTopology? = nil) {
    self.nodeRank = nodeRank
    self.gpus = gpus
    self.cores = cores
    self.interface = interface
    self.topology = topology
  }
}

/// One process of a training program, as its launcher wants it.
public struct RankLaunch: Hashable, Sendable {
  /// Position among all ranks.
  public var rank: Int
  /// Position among the ranks of its node.
  public var localRank: Int
  /// Variables that the user's own take the place of.
  public var defaults: [String: String]
  /// Variables that nothing takes the place of: a rank that is told otherwise finds nobody.
  public var variables: [String: String]
}

/// A process that a framework needs beside its ranks, on one of the nodes.
///
/// Its death ends the attempt. It saves nothing.
public struct HelperLaunch: Hashable, Sendable {
  /// How it comes to its end where all goes well.
  public enum Ending: Hashable, Sendable {
    /// By itself, once the ranks have.
    case byItself
    /// It hears SIGTERM once the chief is done, and may finish what it does.
    case whenTold
    /// It serves until it is ended, and has nothing to finish.
    case never
  }

  /// What it is called, among the processes of its node: `scheduler`, `server-0`, `mpirun`...
  public var name: String
  /// How it ends.
  public var ending: Ending
  /// What it runs; nil for the job's own program.
  public var command: [String]? = nil
  /// Variables that the user's own take the place of.
  public var defaults: [String: String]
  /// Variables that nothing takes the place of.
  public var variables: [String: String]
}

/// Why a launcher cannot start the ranks of a node.
public enum LaunchProblem: Error, Hashable, Sendable, CustomStringConvertible {
  /// The ranks of a node cannot get the same number of GPUs each.
  case unevenGPUs(gpus: Int, ranks: Int)
  /// Not every process that listens on a port of its own has one.
  case missingPorts(told: Int, needed: Int)

  /// What is wrong, and what to do.
  public var description: String {
    switch self {
    case .unevenGPUs(let gpus, let ranks):
      "\(gpus) GPUs cannot be shared evenly by \(ranks) ranks of the node: change resources.gpus_per_node or "
        + "launcher.processes_per_node, or let all see all of them with launcher.gpus: all"
    case .missingPorts(let told, let needed):
      "\(needed) processes need a port each, and the nodes told \(told): one of their agents is too old"
    }
  }
}

extension LauncherSpec {
  /// The processes of the node of `share`, by local rank.
  ///
  /// Ranks are numbered node by node: those of node n are from n × `processesPerNode` on.
  ///
  /// - Throws: `LaunchProblem` where a rank cannot have what its kind needs.
  public func launches(
    on share: NodeShare, _ rendezvous: Rendezvous
  ) throws(LaunchProblem) -> [RankLaunch] {
    let nodes = rendezvous.nodeAddresses.count
    let needed = (0..<nodes).reduce(0) { $0 + listeners(onNode: $1, of: nodes) }
    if needed > 0, rendezvous.rankPorts.count != needed {
      throw .missingPorts(told: rendezvous.rankPorts.count, needed: needed)
    }
    let gpus = sharedGPUs(of: share)
    var launches: [RankLaunch] = []
    for localRank in 0..<processesPerNode {
      let rank = share.nodeRank * processesPerNode + localRank
      var variables = common(rank, localRank, share, rendezvous)
      variables.merge(Self.seeing(try visibleGPUs(localRank, gpus))) { $1 }
      variables.merge(ownVariables(rank, share, rendezvous)) { $1 }
      launches.append(
        RankLaunch(
          rank: rank, localRank: localRank, defaults: defaults(on: share), variables: variables))
    }
    return launches
  }

  /// The processes of the node of `share` that are no ranks, in the order in which they are to start.
  ///
  /// A scheduler is on the first node, servers go round all of them.
  ///
  /// - Throws: `LaunchProblem`, as `launches` does.
  public func helpers(on share: NodeShare, _ rendezvous: Rendezvous) throws(LaunchProblem) -> [HelperLaunch] {
    switch kind {
    case .mxnet: mxnetHelpers(on: share, rendezvous)
    case .tensorflow: try tensorFlowHelpers(on: share, rendezvous)
    case .mpi: mpiHelpers(on: share, rendezvous)
    case .plain, .torchrun, .jax: []
    }
  }

  private func mxnetHelpers(on share: NodeShare, _ rendezvous: Rendezvous) -> [HelperLaunch] {
    let nodes = rendezvous.nodeAddresses.count
    let servers = (0..<(self.servers ?? nodes)).filter { $0 % nodes == share.nodeRank }
    let roles = (share.nodeRank == 0 ? [("scheduler", "scheduler")] : []) + servers.map { ("server-\($0)", "server") }
    return roles.map { name, role in
      var variables = parameterServer(role, share, rendezvous)
      // Parameters are added up by the processors.
      variables["CUDA_VISIBLE_DEVICES"] = ""
      return HelperLaunch(name: name, ending: .byItself, defaults: defaults(on: share), variables: variables)
    }
  }

  /// What MXNet's ps-lite wants to know.
  private func parameterServer(
    _ role: String, _ share: NodeShare, _ rendezvous: Rendezvous
  ) -> [String: String] {
    let nodes = rendezvous.nodeAddresses
    return [
      "DMLC_ROLE": role, "DMLC_PS_ROOT_URI": nodes.first ?? "127.0.0.1",
      "DMLC_PS_ROOT_PORT": "\(rendezvous.masterPort)", "DMLC_NODE_HOST": nodes[share.nodeRank],
      "DMLC_NUM_WORKER": "\(nodes.count * processesPerNode)", "DMLC_NUM_SERVER": "\(servers ?? nodes.count)",
    ]
  }

  /// What every kind of launcher tells.
  private func common(
    _ rank: Int, _ localRank: Int, _ share: NodeShare, _ rendezvous: Rendezvous
  ) -> [String: String] {
    [
      "RANK": "\(rank)", "LOCAL_RANK": "\(localRank)",
      "WORLD_SIZE": "\(rendezvous.nodeAddresses.count * processesPerNode)", "LOCAL_WORLD_SIZE": "\(processesPerNode)",
      "NODE_RANK": "\(share.nodeRank)", "MASTER_ADDR": rendezvous.nodeAddresses.first ?? "127.0.0.1",
      "MASTER_PORT": "\(rendezvous.masterPort)",
    ]
  }

  /// The GPUs of `share`, in the order in which its ranks get theirs: those of a rank next to each other, as the node has them.
  func sharedGPUs(of share: NodeShare) -> [Int] {
    guard gpus == .own else { return share.gpus }
    return share.topology?.ordered(share.gpus, inParts: processesPerNode) ?? share.gpus
  }

  /// What lets a process see `gpus` and no other.
  static func seeing(_ gpus: ArraySlice<Int>) -> [String: String] {
    var all = ["CUDA_VISIBLE_DEVICES": gpus.map(String.init).joined(separator: ",")]
    // CUDA would number the fastest first, and `nvidia-smi`, whose numbers these are, does not.
    if !gpus.isEmpty { all["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID" }
    return all
  }

  /// Those of `gpus` that the rank of a node sees.
  func visibleGPUs(_ localRank: Int, _ gpus: [Int]) throws(LaunchProblem) -> ArraySlice<Int> {
    guard gpus.count > 0, self.gpus == .own else { return gpus[...] }
    guard gpus.count % processesPerNode == 0 else {
      throw .unevenGPUs(gpus: gpus.count, ranks: processesPerNode)
    }
    let each = gpus.count / processesPerNode
    return gpus[localRank * each..<(localRank + 1) * each]
  }

  /// A rank has its share of the processors.
  ///
  /// But several that `torchrun` starts have one each, so that a program computes the same bits by either of them.
  func defaults(on share: NodeShare) -> [String: String] {
    var all = ["OMP_NUM_THREADS": "\(max(1, share.cores / max(1, processesPerNode)))"]
    if kind == .torchrun {
      if processesPerNode > 1 { all["OMP_NUM_THREADS"] = "1" }
      all["TORCH_NCCL_ASYNC_ERROR_HANDLING"] = "1"
    }
    return all.merging(networkDefaults(share.interface)) { $1 }
  }

  /// What only this kind tells.
  private func ownVariables(_ rank: Int, _ share: NodeShare, _ rendezvous: Rendezvous) -> [String: String] {
    let worldSize = rendezvous.nodeAddresses.count * processesPerNode
    switch kind {
    case .plain, .mpi: return [:]
    case .torchrun:
      // As `torch.distributed.run` sets them. Rank 0 holds the store of the rendezvous: no agent does it for it.
      return [
        "GROUP_RANK": "\(share.nodeRank)", "GROUP_WORLD_SIZE": "\(rendezvous.nodeAddresses.count)",
        "ROLE_NAME": "default", "ROLE_RANK": "\(rank)", "ROLE_WORLD_SIZE": "\(worldSize)",
        "TORCHELASTIC_RUN_ID": "\(rendezvous.attempt)", "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_MAX_RESTARTS": "0", "TORCHELASTIC_USE_AGENT_STORE": "False",
      ]
    case .tensorflow: return tensorFlow(rank: rank, rendezvous)
    case .jax:
      return [
        "JAX_COORDINATOR_ADDRESS": Self.endpoint(rendezvous.nodeAddresses.first ?? "127.0.0.1", rendezvous.masterPort),
        "JAX_NUM_PROCESSES": "\(worldSize)", "JAX_PROCESS_ID": "\(rank)",
      ]
    case .mxnet: return parameterServer("worker", share, rendezvous)
    }
  }

  /// `host:port`, an IPv6 address in brackets.
  static func endpoint(_ host: String, _ port: Int) -> String {
    host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}
