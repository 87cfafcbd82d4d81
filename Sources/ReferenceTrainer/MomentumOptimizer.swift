/// What the optimiser is told, once for the run.
struct Hyperparameters: Codable, Equatable, Sendable {
  /// Images of one step over all ranks.
  var batch: Int
  var learningRate: Double
  /// What the learning rate is multiplied with after every epoch; 1 keeps it.
  var learningRateDecay: Double
  var momentum: Double
  var weightDecay: Double
  /// The most pixels a training image is moved in each direction.
  var shift: Int
  /// Set where the ranks train by Downpour SGD: then `batch` is what one worker's step has, and of the rates only
  /// `learningRate` counts.
  var downpour: DownpourParameters?

  /// The rate in the epoch that starts at 0, by repeated multiplication: `pow` differs between C libraries.
  func learningRate(epoch: Int) -> Float {
    var rate = learningRate
    for _ in 0..<epoch { rate *= learningRateDecay }
    return Float(rate)
  }
}

/// Stochastic gradient descent with momentum: `v = momentum * v + g + decay * w`, `w = w - rate * v`.
final class MomentumOptimizer {
  /// One velocity per parameter; part of every checkpoint.
  let velocities: FloatBuffer

  init(count: Int) {
    velocities = FloatBuffer(count: count)
  }

  /// Moves all parameters by one step.
  ///
  /// - Precondition: `gradients` begins with one value per parameter.
  func step(_ parameters: FloatBuffer, gradients: FloatBuffer, _ settings: Hyperparameters, epoch: Int) {
    precondition(parameters.count == velocities.count && gradients.count >= velocities.count)
    let (weights, slopes, speeds) = (parameters.base, gradients.base, velocities.base)
    let (momentum, decay) = (Float(settings.momentum), Float(settings.weightDecay))
    let rate = settings.learningRate(epoch: epoch)
    for index in 0..<velocities.count {
      let speed = momentum * speeds[index] + slopes[index] + decay * weights[index]
      speeds[index] = speed
      weights[index] -= rate * speed
    }
  }
}
