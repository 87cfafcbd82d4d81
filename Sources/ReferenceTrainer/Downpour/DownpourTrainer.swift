import Synchronization

/// One rank of a Downpour run: a worker that trains its own replica on its own share of the images, beside the shard
/// that its rank keeps for all.
///
/// Algorithm 7.1 of Dean et al. (2012): every `fetchEvery` steps the replica takes the shards' parameters, every
/// `pushEvery` steps it sends what its gradients added up to; in between it moves its replica by plain gradient descent. No
/// worker waits for another one, so with several of them no two runs are equal; with one worker all bits are. Used from
/// one thread.
final class DownpourTrainer {
  private let settings: Settings
  private let parameters: DownpourParameters
  private let dataset: Dataset
  private let share: ArraySlice<Int>
  private let host: ShardHost
  private let links: ShardLinks
  private let folder: CheckpointFolder?
  private let metrics: MetricsLog
  private let surroundings: Surroundings
  private let network: Network
  /// What was computed since the last push, added up.
  private let gathered: FloatBuffer
  private let images: FloatBuffer
  private var state: CheckpointState
  private var worker: DownpourState.Worker
  private var sampler: Sampler
  private var phase = DownpourCoordinator.Phase.working
  /// Steps since the last fetch and the last push; nil: fetch before the next step.
  private var sinceFetch: Int?
  private var sincePush = 0
  /// The loss and epoch of the last step, until its number in the run is known.
  private var news: (loss: Double, epoch: Int)?
  private var wantsSave = false
  private var savedStep: Int
  private var rate: StepRate

  /// Prepares to go on from `state`, whose `downpour` has a worker for each rank.
  init(
    settings: Settings, parameters: DownpourParameters, dataset: Dataset, state: CheckpointState,
    worker: DownpourState.Worker, host: ShardHost, links: ShardLinks, folder: CheckpointFolder?, metrics: MetricsLog,
    surroundings: Surroundings
  ) {
    let batch = settings.hyperparameters.batch
    self.settings = settings
    self.parameters = parameters
    self.dataset = dataset
    self.state = state
    self.worker = worker
    self.host = host
    self.links = links
    self.folder = folder
    self.metrics = metrics
    self.surroundings = surroundings
    share = Sampler.share(of: dataset.training[...], rank: host.rank, worldSize: host.worldSize)
    network = Network(shape: state.shape, capacity: batch)
    gathered = FloatBuffer(count: state.shape.parameterCount)
    images = FloatBuffer(count: batch * state.shape.side * state.shape.side)
    sampler = Sampler(worker.sampler, count: share.count, batch: batch)
    savedStep = state.step
    rate = StepRate(step: state.step, time: surroundings.now())
  }

  /// Trains until all workers have made all their steps, saves, and returns.
  ///
  /// - Throws: what `Trainer.run` throws, and `.peerLost` also where a worker or a shard of any rank dies.
  func run() throws(TrainerError) {
    let all = settings.epochs * sampler.stepsPerEpoch
    let last = min(all, settings.stepsMax ?? all)
    while true {
      if phase == .working, worker.steps >= last { try rest(as: .finished) }
      let order = try report()
      try tellNews(order)
      // Asked for before the next step, so that with one worker it is this very step that is saved.
      if wantsSave { continue }
      switch order.command {
      case .go:
        if phase != .working { resume() }
        try advance()
      case .wait: pause()
      case .rest:
        if phase == .working {
          try rest(as: .resting)
        } else if order.isQuiet, host.rank == 0 {
          try save(order)
        } else {
          pause()
        }
      case .leave, .done, .failed:
        return try leave(order)
      }
    }
  }

  private func report() throws(TrainerError) -> DownpourCoordinator.Order {
    var requests = surroundings.requests()
    if wantsSave { requests.insert(.save) }
    wantsSave = false
    return try links.report(
      DownpourCoordinator.Report(rank: host.rank, phase: phase, state: worker, requests: requests.rawValue))
  }

  /// One step of the replica.
  private func advance() throws(TrainerError) {
    if sinceFetch.map({ $0 >= parameters.fetchEvery }) ?? true {
      try links.fetch(into: network.parameters)
      guard network.parameters.isFinite else { throw diverged("a weight is no finite number any more") }
      sinceFetch = 0
    }
    let epoch = sampler.state.epoch
    let batch = sampler.next().map { share[share.startIndex + $0] }
    dataset.copy(
      batch[...], into: images,
      shifts: Shifts(seed: state.seed, epoch: epoch, pixelsMax: settings.hyperparameters.shift))
    let sum = network.lossAndGradients(images, labels: dataset.labels(of: batch[...]), scale: 1 / Float(batch.count))
    let loss = sum / Double(batch.count)
    guard loss.isFinite else { throw diverged("the loss is \(loss)") }
    let alpha = Float(settings.hyperparameters.learningRate)
    for index in 0..<gathered.count {
      gathered.base[index] += network.gradients.base[index]
      network.parameters.base[index] -= alpha * network.gradients.base[index]
    }
    sinceFetch = sinceFetch.map { $0 + 1 }
    sincePush += 1
    if sincePush >= parameters.pushEvery { try push() }
    worker = DownpourState.Worker(steps: worker.steps + 1, sampler: sampler.state)
    rate.images += batch.count
    news = (loss, epoch)
  }

  private func push() throws(TrainerError) {
    try links.push(gathered)
    gathered.zero()
    sincePush = 0
  }

  /// Brings everything to the shards and stops.
  private func rest(as phase: DownpourCoordinator.Phase) throws(TrainerError) {
    if sincePush > 0 { try push() }
    try links.settle()
    self.phase = phase
  }

  /// Goes on after a rest, from what the shards have.
  private func resume() {
    phase = .working
    sinceFetch = nil
  }

  private func pause() {
    var nobody: [Readiness] = []
    _ = wait(for: &nobody, until: .now + .milliseconds(20))
  }

  /// Writes down the last step, now that its number in the run is known; only rank 0 keeps a series.
  private func tellNews(_ order: DownpourCoordinator.Order) throws(TrainerError) {
    guard let news else { return }
    self.news = nil
    state.step = order.step
    guard host.rank == 0 else { return }
    try metrics.append("loss", news.loss, step: order.step, epoch: news.epoch)
    let every = settings.checkpointEverySteps
    wantsSave = every > 0 && order.step / every > savedStep / every
    if wantsSave { savedStep = order.step }
    if worker.steps % StepRate.stepsBetweenLines == 0 {
      surroundings.say(
        rate.line(step: order.step, epoch: news.epoch, loss: news.loss, now: surroundings.now(), of: "worker 0"))
    }
    // The last test is the one of all workers' results.
    if sampler.state.epoch != news.epoch, phase == .working { try test(epoch: news.epoch) }
  }

  /// Counts what the shards' parameters get right on the held-out images.
  private func test(epoch: Int) throws(TrainerError) {
    try links.fetch(into: network.parameters)
    sinceFetch = nil
    var correct = 0
    var rest = dataset.heldOut[...]
    while !rest.isEmpty {
      let chunk = rest.prefix(network.capacity)
      rest = rest.dropFirst(chunk.count)
      dataset.copy(chunk, into: images)
      correct += network.correct(images, labels: dataset.labels(of: chunk))
    }
    let accuracy = Double(correct) / Double(dataset.heldOut.count)
    try metrics.append("test_accuracy", accuracy, step: state.step, epoch: epoch)
    surroundings.say(
      "step \(state.step)  epoch \(epoch)  test accuracy \(accuracy) on \(dataset.heldOut.count) held-out images")
  }

  /// While all rest: tests if all is done, and saves what the shards have.
  private func save(_ order: DownpourCoordinator.Order) throws(TrainerError) {
    let now = host.coordinator.withLock { ($0?.workers ?? [], $0?.isFinished == true, $0?.isEnding == true) }
    let (workers, isFinished, isEnding) = now
    state.step = order.step
    state.downpour = DownpourState(workers: workers)
    if isFinished { try test(epoch: sampler.state.epoch - 1) }
    var isSaved = true
    if let folder {
      let contents = try links.pull()
      do throws(TrainerError) {
        try metrics.synchronize()
        let outcome = try folder.save(
          Checkpoint(state: state, parameters: contents.parameters, velocities: contents.squares))
        surroundings.say("step-\(state.step) \(outcome == .saved ? "saved in" : "is already in") \(folder.path)")
      } catch {
        isSaved = false
        surroundings.say("step-\(state.step) could not be saved: \(error)")
      }
    }
    savedStep = order.step
    host.coordinator.withLock { $0?.saved(isSaved || !isEnding) }
  }

  /// Parts from all others; on rank 0 once they have all gone.
  private func leave(_ order: DownpourCoordinator.Order) throws(TrainerError) {
    try links.sayGoodbye()
    let deadline: ContinuousClock.Instant = .now + .seconds(settings.peerTimeoutSeconds)
    // The others ask rank 0 what to do: it must be there until each of them was told.
    while host.rank == 0, !host.isAlone, host.failure == nil, ContinuousClock.now < deadline { pause() }
    host.stop()
    switch order.command {
    case .done:
      if host.rank == 0 { surroundings.say("done after \(order.step) steps of \(host.worldSize) workers") }
    case .failed:
      throw TrainerError(.writeFailed, "rank 0 could not save step \(order.step)")
    default:
      guard folder != nil else {
        throw TrainerError(
          .leftUnsaved, "asked to leave after step \(order.step); there is no BATON_CHECKPOINT_DIR to save to")
      }
      throw TrainerError(.left, "saved step \(order.step) and leaving as asked")
    }
  }

  private func diverged(_ what: String) -> TrainerError {
    TrainerError(
      .diverged, "\(what) after step \(worker.steps) of worker \(host.rank)", advice: "Lower --learning-rate.")
  }

  /// The flat parameters of this replica as they are now.
  var replica: [Float] { network.parameters.values }
}

extension DownpourTrainer {
  /// Meets all ranks and gets a worker and a shard ready, both where `state` and `checkpoint` stand.
  ///
  /// - Parameter state: its `downpour` has a worker for each rank.
  /// - Throws: what `Rendezvous.join` throws.
  static func join(
    _ rendezvous: Rendezvous, settings: Settings, dataset: Dataset, state: CheckpointState, checkpoint: Checkpoint?,
    folder: CheckpointFolder?, metrics: MetricsLog, surroundings: Surroundings
  ) throws(TrainerError) -> DownpourTrainer {
    let (rank, worldSize) = (rendezvous.identity.rank, rendezvous.identity.worldSize)
    let parameters = settings.hyperparameters.downpour ?? DownpourParameters()
    let start = state.downpour ?? DownpourState(seed: state.seed, worldSize: worldSize)
    let count = state.shape.parameterCount
    let range = ParameterShard.range(of: rank, worldSize: worldSize, count: count)
    let values = checkpoint?.parameters ?? state.shape.initialParameters(seed: state.seed)
    let host = ShardHost(
      rank: rank, worldSize: worldSize,
      shard: ParameterShard(
        parameters: Array(values[range]),
        squares: checkpoint.map { Array($0.velocities[range]) } ?? Array(repeating: 0, count: range.count),
        learningRate: Float(settings.hyperparameters.learningRate)),
      coordinator: rank == 0 ? DownpourCoordinator(start, warmStartSteps: parameters.warmStartSteps) : nil)
    let links = ShardLinks(host: host, count: count, silenceSeconds: settings.peerTimeoutSeconds)
    if worldSize > 1 {
      let (table, listener) = try rendezvous.meet()
      try host.start(listener, session: table.session) { say("baton-train: rank \(rank): \($0)") }
      try links.connect(table, rendezvous)
    }
    return DownpourTrainer(
      settings: settings, parameters: parameters, dataset: dataset, state: state, worker: start.workers[rank],
      host: host, links: links, folder: folder, metrics: metrics, surroundings: surroundings)
  }
}
