/// How the ranks of a job are started, and how they are told to find each other.
public struct LauncherSpec: Hashable, Sendable, Codable {
  /// What the program expects of who starts it.
  ///
  /// Baton starts every rank itself: a kind only says which variables a rank gets beside those that all get.
  public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
    /// Nothing beside what every rank gets: `RANK`, `WORLD_SIZE`, `LOCAL_RANK`, `MASTER_ADDR`, `MASTER_PORT`...
    case plain
    /// What `torchrun` tells the processes that it starts.
    case torchrun
    /// `TF_CONFIG`, as the `strategy` wants it.
    case tensorflow
    /// What `jax.distributed.initialize` wants to know.
    case jax
    /// `DMLC_*`, and beside the ranks a scheduler and servers, as MXNet's `dist_sync` and `dist_async` want them.
    case mxnet
    /// Open MPI's own placement of ranks, by `mpirun` on the first node and its daemons on the others.
    case mpi

    /// Which GPUs a rank sees where nobody says.
    ///
    /// A program for `torchrun` chooses by `LOCAL_RANK` among all of them; TensorFlow and JAX take all that they see.
    public var usualGPUs: GPUView {
      switch self {
      case .plain, .torchrun, .mxnet, .mpi: .all
      case .tensorflow, .jax: .own
      }
    }
  }

  /// How the processes of a TensorFlow job share the work.
  public enum Strategy: String, Hashable, Sendable, Codable, CaseIterable {
    /// MultiWorkerMirroredStrategy: every rank is a worker, and has all variables.
    case mirrored
    /// ParameterServerStrategy: a chief leads, workers compute, servers have the variables.
    case parameterServer = "parameter_server"
  }

  /// Which of its node's GPUs a rank sees, by `CUDA_VISIBLE_DEVICES`.
  public enum GPUView: String, Hashable, Sendable, Codable, CaseIterable {
    /// All that the job has on the node.
    case all
    /// As many as every other rank of the node, and none that another one sees.
    case own
  }

  /// The way.
  public var kind: Kind
  /// Ranks on each node; at least 1.
  public var processesPerNode: Int
  /// Which GPUs a rank sees.
  public var gpus: GPUView
  /// Servers of parameters over all nodes, where the kind has any; nil for one a node.
  public var servers: Int?
  /// Of `tensorflow`: how the work is shared.
  public var strategy: Strategy
  /// Whether a process beside the ranks judges what the chief saves, where there is a chief.
  public var hasEvaluator: Bool

  /// `processesPerNode` ranks a node, which see the GPUs that is usual for the kind.
  public init(
    kind: Kind = .plain, processesPerNode: Int = 1, gpus: GPUView? = nil, servers: Int? = nil,
    strategy: Strategy = .mirrored, hasEvaluator: Bool = false
  ) {
    self.kind = kind
    self.processesPerNode = processesPerNode
    self.gpus = gpus ?? kind.usualGPUs
    self.servers = servers
    self.strategy = strategy
    self.hasEvaluator = hasEvaluator
  }

  /// Reads what is told; the rest is at its default.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      kind: try container.decodeIfPresent(Kind.self, forKey: .kind) ?? .plain,
      processesPerNode: try container.decodeIfPresent(Int.self, forKey: .processesPerNode) ?? 1,
      gpus: try container.decodeIfPresent(GPUView.self, forKey: .gpus),
      servers: try container.decodeIfPresent(Int.self, forKey: .servers),
      strategy: try container.decodeIfPresent(Strategy.self, forKey: .strategy) ?? .mirrored,
      hasEvaluator: try container.decodeIfPresent(Bool.self, forKey: .hasEvaluator) ?? false)
  }
}
