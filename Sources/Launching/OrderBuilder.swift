public import Domain
public import Wire

/// All that is known of an attempt when its nodes are told what to do.
public struct AttemptBrief: Hashable, Sendable {
  /// The attempt.
  public var attempt: AttemptID
  /// Its job.
  public var job: JobID
  /// Its number in the job, from 1.
  public var number: Int
  /// The epoch of the controller that orders.
  public var controllerEpoch: Int64
  /// What was asked for.
  public var spec: JobSpec
  /// Where, in rank order.
  public var placement: Placement
  /// Addresses of the nodes, in rank order.
  public var addresses: [String]
  /// What to stage.
  public var datasets: [DatasetOrder]
  /// What to resume from.
  public var resume: ResumeOrder?
  /// Where objects are.
  public var store: StoreAccess
  /// When the lease ends.
  public var leaseEnd: Timestamp
  /// From SIGTERM to the last checkpoint DURABLE.
  public var lastSave: TimeSpan
  /// How the nodes give each other what they stage.
  public var exchange: ExchangeOrder?
  /// Who else hands out what they stage; nil for nobody.
  public var holders: HoldersOrder?
  /// Content ids of data sets that no node evicts.
  public var pinned: [String]
  /// The code that ranks start in.
  public var code: CodeOrder?

  /// A brief; every field is told.
  public init(
    attempt: AttemptID, job: JobID, number: Int, controllerEpoch: Int64, spec: JobSpec, placement: Placement,
    addresses: [String], datasets: [DatasetOrder], resume: ResumeOrder?, store: StoreAccess, leaseEnd: Timestamp,
    lastSave: TimeSpan, exchange: ExchangeOrder? = nil, pinned: [String] = []
  ) {
    self.attempt = attempt
    self.job = job
    self.number = number
    self.controllerEpoch = controllerEpoch
    self.spec = spec
    self.placement = placement
    self.addresses = addresses
    self.datasets = datasets
    self.resume = resume
    self.store = store
    self.leaseEnd = leaseEnd
    self.lastSave = lastSave
    self.exchange = exchange
    self.pinned = pinned
  }

  /// What the node of `nodeRank` is told at `now`.
  public func order(nodeRank: Int, at now: Timestamp) -> AttemptOrder {
    var order = AttemptOrder(
      attempt: attempt, job: job, number: number, controllerEpoch: controllerEpoch, nodeRank: nodeRank,
      nodeAddresses: addresses, gpus: placement.shares[nodeRank].gpus,
      processesPerNode: spec.launcher.processesPerNode, command: spec.command, environment: spec.environment,
      seed: spec.seed, datasets: datasets, resume: resume, store: store, leaseRemaining: leaseEnd - now,
      leaseEnd: leaseEnd, lastSaveLead: lastSave, grace: spec.checkpoint.grace, checkpointEvery: spec.checkpoint.every,
      reserve: spec.resources.localDisk, exchange: addresses.count > 1 || holders != nil ? exchange : nil,
      holders: holders, pinned: pinned, launcherKind: spec.launcher.kind, gpuView: spec.launcher.gpus,
      servers: spec.launcher.servers, strategy: spec.launcher.strategy, evaluator: spec.launcher.hasEvaluator)
    order.batch = spec.batch
    order.programSaves = spec.checkpoint.program
    order.saveSignal = spec.checkpoint.askedBy
    order.resumeCommand = spec.resume
    order.setup = spec.setup
    order.container = spec.container
    order.code = code
    return order
  }

  /// What each node has to fetch.
  public var stagingTotal: ByteCount {
    datasets.reduce(resume?.total ?? .zero) { $0 + $1.share(of: addresses.count) }
  }
}
