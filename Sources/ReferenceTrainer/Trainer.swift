/// What the trainer needs from the world around it.
struct Surroundings {
  /// Seconds since 1970.
  let now: () -> Double
  /// What was asked for since the last call.
  let requests: () -> Requests
  /// Takes a line for a person.
  let say: (String) -> Void
}

/// One rank of a run: from a state to the last step, saving when asked.
///
/// Synchronous data parallelism: every rank holds all parameters and works on its share of each batch. Used from
/// one thread.
final class Trainer {
  private let settings: Settings
  private let dataset: Dataset
  private let ring: Ring
  private let folder: CheckpointFolder?
  private let metrics: MetricsLog
  private let surroundings: Surroundings
  private let network: Network
  private let optimizer: MomentumOptimizer
  private let images: FloatBuffer
  private var state: CheckpointState
  private var sampler: Sampler
  private var rate: StepRate
  private let isResumed: Bool

  /// What travels behind the gradients: the sum of losses, and how many ranks were asked to save or to leave.
  private static let tail = 3

  /// Prepares to go on from `state`, with the parameters of `checkpoint` or, if nil, those of the seed.
  ///
  /// - Parameters:
  ///   - state: has passed `Resume.check`.
  ///   - folder: nil if there is nowhere to save to.
  ///   - metrics: writes nothing on other ranks than 0.
  init(
    settings: Settings, dataset: Dataset, state: CheckpointState, checkpoint: Checkpoint?, ring: Ring,
    folder: CheckpointFolder?, metrics: MetricsLog, surroundings: Surroundings
  ) {
    let shape = state.shape
    let capacity = (settings.hyperparameters.batch + ring.worldSize - 1) / ring.worldSize
    self.settings = settings
    self.dataset = dataset
    self.ring = ring
    self.folder = folder
    self.metrics = metrics
    self.surroundings = surroundings
    self.state = state
    network = Network(shape: shape, capacity: capacity, tail: Self.tail)
    network.parameters.assign(checkpoint?.parameters ?? shape.initialParameters(seed: state.seed))
    optimizer = MomentumOptimizer(count: shape.parameterCount)
    if let checkpoint { optimizer.velocities.assign(checkpoint.velocities) }
    images = FloatBuffer(count: capacity * shape.side * shape.side)
    sampler = Sampler(state.sampler, count: dataset.training.count, batch: settings.hyperparameters.batch)
    rate = StepRate(step: state.step, time: surroundings.now())
    isResumed = checkpoint != nil
  }

  /// Trains to the last step, tests, saves and returns; on every rank at the same step.
  ///
  /// - Throws: `.left` when asked to leave, once everything is saved (`.leftUnsaved` with nowhere to save to);
  ///   `.peerLost`, `.diverged`, `.writeFailed`. A save that fails while the run goes on is only reported.
  func run() throws(TrainerError) {
    let all = settings.epochs * sampler.stepsPerEpoch
    let last = min(all, settings.stepsMax ?? all)
    if isResumed { try metrics.append(loaded: ingredients(of: now), step: state.step) }
    while state.step < last {
      let epoch = sampler.state.epoch
      let asked = try advance()
      let isLast = state.step == last
      if isLast || sampler.state.epoch != epoch { try test(epoch: epoch) }
      let leaving = asked.contains(.leave) && !isLast
      let every = settings.checkpointEverySteps
      if isLast || !asked.isEmpty || (every > 0 && state.step % every == 0) {
        try save(toEnd: isLast || leaving)
      }
      if leaving { throw departure() }
    }
    if ring.rank == 0 { surroundings.say("done after \(state.step) steps") }
  }

  /// The flat parameters as they are now.
  var parameters: [Float] { network.parameters.values }

  /// All that the run is at this moment.
  private var now: Checkpoint {
    Checkpoint(state: state, parameters: network.parameters.values, velocities: optimizer.velocities.values)
  }

  private func ingredients(of checkpoint: Checkpoint) -> Ingredients {
    Ingredients(checkpoint, orderDigest: sampler.orderDigest)
  }

  /// Makes one step on all ranks; returns what any of them was asked for.
  private func advance() throws(TrainerError) -> Requests {
    let epoch = sampler.state.epoch
    let batch = sampler.next()
    let share = Sampler.share(of: batch, rank: ring.rank, worldSize: ring.worldSize).map { dataset.training[$0] }
    let shifts = Shifts(seed: state.seed, epoch: epoch, pixelsMax: settings.hyperparameters.shift)
    dataset.copy(share[...], into: images, shifts: shifts)
    let loss = network.lossAndGradients(
      images, labels: dataset.labels(of: share[...]), scale: 1 / Float(batch.count))

    // Signals reach the ranks at different moments. Their requests travel with the gradients, so that every
    // rank acts on them after the same step.
    let own = surroundings.requests()
    let tail = network.gradients.base + state.shape.parameterCount
    tail[0] = Float(loss)
    tail[1] = own.contains(.save) ? 1 : 0
    tail[2] = own.contains(.leave) ? 1 : 0
    try ring.sum(network.gradients)
    optimizer.step(network.parameters, gradients: network.gradients, settings.hyperparameters, epoch: epoch)
    state.step += 1
    state.sampler = sampler.state

    let mean = Double(tail[0] / Float(batch.count))
    guard mean.isFinite else {
      throw TrainerError(
        .diverged, "the loss of step \(state.step) is \(mean)", advice: "Lower --learning-rate.")
    }
    // Rectification makes 0 of what is no number: with broken weights the loss may look well.
    guard network.parameters.isFinite else {
      throw TrainerError(
        .diverged, "a weight is no finite number any more after step \(state.step)", advice: "Lower --learning-rate.")
    }
    rate.images += batch.count
    if ring.rank == 0 {
      try metrics.append("loss", mean, step: state.step, epoch: epoch)
      if state.step % StepRate.stepsBetweenLines == 0 {
        surroundings.say(rate.line(step: state.step, epoch: epoch, loss: mean, now: surroundings.now()))
      }
    }
    var asked: Requests = []
    if tail[1] > 0 { asked.insert(.save) }
    if tail[2] > 0 { asked.insert(.leave) }
    return asked
  }

  /// Counts what the network gets right on the held-out images, each rank on its share; counts add up exactly.
  private func test(epoch: Int) throws(TrainerError) {
    let share = Sampler.share(of: dataset.heldOut[...], rank: ring.rank, worldSize: ring.worldSize)
    var correct = 0
    var rest = share
    while !rest.isEmpty {
      let chunk = rest.prefix(network.capacity)
      rest = rest.dropFirst(chunk.count)
      dataset.copy(chunk, into: images)
      correct += network.correct(images, labels: dataset.labels(of: chunk))
    }
    let total = try ring.sum([Float(correct)])[0]
    guard ring.rank == 0 else { return }
    let accuracy = Double(total) / Double(dataset.heldOut.count)
    try metrics.append("test_accuracy", accuracy, step: state.step, epoch: epoch)
    surroundings.say(
      "step \(state.step)  epoch \(epoch)  test accuracy \(accuracy) on \(dataset.heldOut.count) held-out images")
  }

  /// Lets rank 0 save.
  ///
  /// At the end everyone waits for it, so that nobody says "saved" before it is true.
  private func save(toEnd: Bool) throws(TrainerError) {
    var failure: TrainerError?
    if ring.rank == 0, let folder {
      do throws(TrainerError) {
        try metrics.synchronize()
        let checkpoint = now
        let outcome = try folder.save(checkpoint, ingredients(of: checkpoint))
        surroundings.say("step-\(state.step) \(outcome == .saved ? "saved in" : "is already in") \(folder.path)")
      } catch {
        failure = error
        surroundings.say("step-\(state.step) could not be saved: \(error)")
      }
    }
    guard toEnd else { return }
    let failures = try ring.sum([failure == nil ? 0 : 1])[0]
    if let failure { throw failure }
    guard failures == 0 else { throw TrainerError(.writeFailed, "rank 0 could not save step \(state.step)") }
  }

  private func departure() -> TrainerError {
    guard folder != nil else {
      return TrainerError(
        .leftUnsaved, "asked to leave after step \(state.step); there is no BATON_CHECKPOINT_DIR to save to")
    }
    return TrainerError(.left, "saved step \(state.step) and leaving as asked")
  }
}
