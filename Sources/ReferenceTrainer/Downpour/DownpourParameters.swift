/// What Downpour SGD is told, once for the run (Dean et al., "Large Scale Distributed Deep Networks", NIPS 2012).
struct DownpourParameters: Codable, Equatable, Sendable {
  /// A worker takes the shards' parameters anew after so many of its steps: the paper's `n_fetch`.
  var fetchEvery = 1
  /// A worker sends what its gradients add up to after so many of its steps: the paper's `n_push`.
  var pushEvery = 1
  /// Worker 0 trains alone until it has made so many steps; 0 starts all at once.
  var warmStartSteps = 0
}

/// Where each worker of a Downpour run stands: beside parameters and Adagrad's sums all that a checkpoint needs.
struct DownpourState: Codable, Equatable, Sendable {
  /// One worker's place in its own share of the images.
  struct Worker: Codable, Equatable, Sendable {
    /// Steps it has made.
    var steps: Int
    var sampler: Sampler.State
  }

  /// In the order of the ranks.
  var workers: [Worker]

  /// Nobody has begun.
  init(seed: UInt64, worldSize: Int) {
    let first = Worker(steps: 0, sampler: Sampler.State(seed: seed, epoch: 0, position: 0))
    workers = Array(repeating: first, count: worldSize)
  }

  init(workers: [Worker]) {
    self.workers = workers
  }
}
