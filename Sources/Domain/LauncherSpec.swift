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
    /// `TF_CONFIG` with one worker a rank, as MultiWorkerMirroredStrategy wants it; worker 0 is the chief.
    case tensorflow
    /// What `jax.distributed.initialize` wants to know.
    case jax
    /// `DMLC_*`, and beside the ranks a scheduler and servers, as MXNet's `dist_sync` and `dist_async` want them.
    case mxnet

    /// Which GPUs a rank sees where nobody says.
    ///
    /// A program for `torchrun` chooses by `LOCAL_RANK` among all of them; TensorFlow and JAX take all that they see.
    public var usualGPUs: GPUView {
      switch self {
      case .plain, .torchrun, .mxnet: .all
      case .tensorflow, .jax: .own
      }
    }

    /// Whether every rank listens on a port of its own, which the others have to know before they start.
    public var needsRankPorts: Bool { self == .tensorflow }
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

  /// `processesPerNode` ranks a node, which see the GPUs that is usual for the kind.
  public init(kind: Kind = .plain, processesPerNode: Int = 1, gpus: GPUView? = nil, servers: Int? = nil) {
    self.kind = kind
    self.processesPerNode = processesPerNode
    self.gpus = gpus ?? kind.usualGPUs
    self.servers = servers
  }

  /// Reads what is told; the rest is at its default.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      kind: try container.decodeIfPresent(Kind.self, forKey: .kind) ?? .plain,
      processesPerNode: try container.decodeIfPresent(Int.self, forKey: .processesPerNode) ?? 1,
      gpus: try container.decodeIfPresent(GPUView.self, forKey: .gpus),
      servers: try container.decodeIfPresent(Int.self, forKey: .servers))
  }
}
