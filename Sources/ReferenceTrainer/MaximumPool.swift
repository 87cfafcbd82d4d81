/// ReLU and a 2x2 maximum with stride 2, in one pass.
///
/// The maximum of rectified values is the rectified maximum, so the ReLU is applied to a quarter of them.
enum MaximumPool {
  /// In `winners`: no value of the window was above zero, so no gradient passes.
  static let none: UInt8 = 4

  /// Pools `channels` planes of `side x side`; `winners` notes which of the four (row by row, the first on a
  /// tie) won, or `none`.
  static func forward(
    _ input: UnsafeMutablePointer<Float>, channels: Int, side: Int,
    into output: UnsafeMutablePointer<Float>, winners: UnsafeMutablePointer<UInt8>
  ) {
    let half = side / 2
    var index = 0
    for plane in 0..<channels {
      for row in 0..<half {
        let upper = input + (plane * side + 2 * row) * side
        let lower = upper + side
        for column in 0..<half {
          var best: Float = 0
          var winner = none
          if upper[2 * column] > best { (best, winner) = (upper[2 * column], 0) }
          if upper[2 * column + 1] > best { (best, winner) = (upper[2 * column + 1], 1) }
          if lower[2 * column] > best { (best, winner) = (lower[2 * column], 2) }
          if lower[2 * column + 1] > best { (best, winner) = (lower[2 * column + 1], 3) }
          output[index] = best
          winners[index] = winner
          index += 1
        }
      }
    }
  }

  /// Gives each pooled gradient to the pixel that won and zero to the others.
  static func backward(
    _ outputGradient: UnsafeMutablePointer<Float>, winners: UnsafeMutablePointer<UInt8>,
    channels: Int, side: Int, into inputGradient: UnsafeMutablePointer<Float>
  ) {
    let half = side / 2
    inputGradient.update(repeating: 0, count: channels * side * side)
    var index = 0
    for plane in 0..<channels {
      for row in 0..<half {
        let upper = inputGradient + (plane * side + 2 * row) * side
        for column in 0..<half {
          let winner = Int(winners[index])
          if winner < 4 {
            upper[(winner >> 1) * side + 2 * column + (winner & 1)] = outputGradient[index]
          }
          index += 1
        }
      }
    }
  }
}
