import Glibc

@testable import ReferenceTrainer

/// The network once more, in double precision and the plainest loops, to compare with.
struct ReferenceMath {
  /// A 5x5 convolution that keeps the size; images as `[channel][row][column]`.
  static func convolve(
    _ input: [Double], inputs: Int, outputs: Int, side: Int, weights: [Double], bias: [Double]
  ) -> [Double] {
    var result: [Double] = []
    for output in 0..<outputs {
      for row in 0..<side {
        for column in 0..<side {
          var sum = bias[output]
          for channel in 0..<inputs {
            for y in 0..<5 {
              for x in 0..<5 {
                let (sourceRow, sourceColumn) = (row + y - 2, column + x - 2)
                guard (0..<side).contains(sourceRow), (0..<side).contains(sourceColumn) else { continue }
                sum +=
                  weights[((output * inputs + channel) * 5 + y) * 5 + x]
                  * input[(channel * side + sourceRow) * side + sourceColumn]
              }
            }
          }
          result.append(sum)
        }
      }
    }
    return result
  }

  /// ReLU, then the maximum of each 2x2 window.
  static func pool(_ input: [Double], channels: Int, side: Int) -> [Double] {
    var result: [Double] = []
    for channel in 0..<channels {
      for row in 0..<side / 2 {
        for column in 0..<side / 2 {
          let corner = (channel * side + 2 * row) * side + 2 * column
          result.append(max(0, input[corner], input[corner + 1], input[corner + side], input[corner + side + 1]))
        }
      }
    }
    return result
  }

  static func dense(_ input: [Double], outputs: Int, weights: [Double], bias: [Double]) -> [Double] {
    (0..<outputs).map { output in
      var sum = bias[output]
      for (index, value) in input.enumerated() { sum += weights[output * input.count + index] * value }
      return sum
    }
  }

  /// Cross-entropy of one image.
  static func loss(_ scores: [Double], label: Int) -> Double {
    let highest = scores.max() ?? 0
    var sum = 0.0
    for score in scores { sum += exp(score - highest) }
    return log(sum) - (scores[label] - highest)
  }

  /// Cross-entropy of one image through the whole network.
  static func loss(_ parameters: [Double], _ shape: NetworkShape, image: [Double], label: Int) -> Double {
    let parts = shape.parameters.map { Array(parameters[$0.offset..<$0.offset + $0.count]) }
    var values = convolve(
      image, inputs: 1, outputs: shape.firstChannels, side: shape.side, weights: parts[0], bias: parts[1])
    values = pool(values, channels: shape.firstChannels, side: shape.side)
    values = convolve(
      values, inputs: shape.firstChannels, outputs: shape.secondChannels, side: shape.side / 2, weights: parts[2],
      bias: parts[3])
    values = pool(values, channels: shape.secondChannels, side: shape.side / 2)
    values = dense(values, outputs: shape.hidden, weights: parts[4], bias: parts[5]).map { max(0, $0) }
    return loss(dense(values, outputs: shape.classes, weights: parts[6], bias: parts[7]), label: label)
  }

  /// The gradient of `function` at `point` by central differences.
  static func gradient(at point: [Double], step: Double = 1e-5, of function: ([Double]) -> Double) -> [Double] {
    point.indices.map { index in
      var (above, below) = (point, point)
      above[index] += step
      below[index] -= step
      return (function(above) - function(below)) / (2 * step)
    }
  }
}

extension SplitMix64 {
  /// Floats in [-1, 1).
  mutating func floats(_ count: Int) -> [Float] {
    (0..<count).map { _ in nextUnit() * 2 - 1 }
  }
}

extension FloatBuffer {
  convenience init(_ values: [Float]) {
    self.init(count: values.count)
    assign(values)
  }
}

/// The largest distance between two vectors; infinite when they differ in length.
func distance(_ left: [Float], _ right: [Double]) -> Double {
  guard left.count == right.count else { return .infinity }
  return zip(left, right).map { abs(Double($0) - $1) }.max() ?? 0
}
