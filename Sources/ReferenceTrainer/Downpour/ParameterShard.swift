/// One part of the flat parameters, moved by Adagrad: each parameter has a learning rate of its own, which falls with
/// the squares of all gradients it has met.
///
/// `s = s + g * g`, `w = w - rate * g / sqrt(s)` (Duchi, Hazan and Singer, JMLR 12, 2011); a parameter that has met no
/// gradient but zero stays. What arrives is applied in the order in which it arrives.
struct ParameterShard: Equatable, Sendable {
  private(set) var parameters: [Float]
  /// Per parameter the sum of the squares of its gradients.
  private(set) var squares: [Float]
  let learningRate: Float

  /// - Precondition: as many squares as parameters.
  init(parameters: [Float], squares: [Float], learningRate: Float) {
    precondition(parameters.count == squares.count)
    self.parameters = parameters
    self.squares = squares
    self.learningRate = learningRate
  }

  /// Moves every parameter by one step.
  ///
  /// - Precondition: one gradient per parameter.
  mutating func apply(_ gradients: UnsafeBufferPointer<Float>) {
    precondition(gradients.count == parameters.count)
    let rate = learningRate
    let count = gradients.count
    parameters.withUnsafeMutableBufferPointer { weights in
      squares.withUnsafeMutableBufferPointer { sums in
        for index in 0..<count {
          let gradient = gradients[index]
          let sum = sums[index] + gradient * gradient
          sums[index] = sum
          if sum > 0 { weights[index] -= rate * gradient / sum.squareRoot() }
        }
      }
    }
  }

  /// The values of a flat vector of `count` that rank `rank` of `worldSize` keeps; may be none.
  static func range(of rank: Int, worldSize: Int, count: Int) -> Range<Int> {
    count * rank / worldSize..<count * (rank + 1) / worldSize
  }
}
