import LinearAlgebra

/// A 5x5 convolution with stride 1 that keeps the size of the image, as a matrix product (im2col).
///
/// Works on one image at a time: its unrolled windows then stay in the second-level cache. Weights lie as
/// `[output][input][row][column]`, images as `[channel][row][column]`.
final class Convolution {
  let inputChannels: Int
  let outputChannels: Int
  let side: Int
  private let weights: MatrixView
  private let bias: UnsafeMutablePointer<Float>
  private let weightGradients: MatrixView
  private let biasGradients: UnsafeMutablePointer<Float>
  private let padded: FloatBuffer
  private let windows: FloatBuffer

  private static let window = NetworkShape.window
  private static let margin = NetworkShape.window / 2

  /// Uses `parameters` and `gradients` in place: the weights first, then the biases.
  init(
    inputChannels: Int, outputChannels: Int, side: Int,
    parameters: UnsafeMutablePointer<Float>, gradients: UnsafeMutablePointer<Float>
  ) {
    let windowValues = inputChannels * Self.window * Self.window
    let paddedSide = side + 2 * Self.margin
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.side = side
    weights = MatrixView(parameters, rows: outputChannels, columns: windowValues)
    bias = parameters + outputChannels * windowValues
    weightGradients = MatrixView(gradients, rows: outputChannels, columns: windowValues)
    biasGradients = gradients + outputChannels * windowValues
    padded = FloatBuffer(count: inputChannels * paddedSide * paddedSide)
    windows = FloatBuffer(count: windowValues * side * side)
  }

  /// Computes `output` (`outputChannels x side x side`) of one image.
  func forward(_ input: UnsafeMutablePointer<Float>, into output: UnsafeMutablePointer<Float>) {
    unroll(input)
    let pixels = side * side
    for channel in 0..<outputChannels {
      (output + channel * pixels).update(repeating: bias[channel], count: pixels)
    }
    BLAS.multiply(
      weights, by: windowView, into: MatrixView(output, rows: outputChannels, columns: pixels), accumulate: true)
  }

  /// Adds one image's share to the gradients of weights and biases and, if asked, computes that of its input.
  func backward(
    _ input: UnsafeMutablePointer<Float>,
    outputGradient: UnsafeMutablePointer<Float>,
    inputGradient: UnsafeMutablePointer<Float>?
  ) {
    let pixels = side * side
    let outputView = MatrixView(outputGradient, rows: outputChannels, columns: pixels)
    // Unrolling again is cheaper than keeping the windows of a whole batch: they would not fit in a cache.
    unroll(input)
    BLAS.multiply(outputView, by: windowView, .transposed, into: weightGradients, accumulate: true)
    for channel in 0..<outputChannels {
      biasGradients[channel] += Self.sum(outputGradient + channel * pixels, count: pixels)
    }
    if let inputGradient {
      BLAS.multiply(weights, .transposed, by: outputView, into: windowView)
      roll(into: inputGradient)
    }
  }

  /// The sum of some values, every eighth of them together first: an order that does not wait for each addition, and is
  /// the same on every processor.
  private static func sum(_ values: UnsafeMutablePointer<Float>, count: Int) -> Float {
    var lanes = SIMD8<Float>.zero
    let whole = count / 8 * 8
    for index in stride(from: 0, to: whole, by: 8) {
      lanes += UnsafeRawPointer(values + index).loadUnaligned(as: SIMD8<Float>.self)
    }
    var sum = lanes.sum()
    for index in whole..<count { sum += values[index] }
    return sum
  }

  private var windowView: MatrixView {
    MatrixView(windows.base, rows: inputChannels * Self.window * Self.window, columns: side * side)
  }

  /// Lays out each pixel's window as a column of `windows`; outside the image it is zero.
  private func unroll(_ input: UnsafeMutablePointer<Float>) {
    let paddedSide = side + 2 * Self.margin
    // The margin was zeroed when the buffer was made, and after every `roll`.
    for channel in 0..<inputChannels {
      let inside = padded.base + channel * paddedSide * paddedSide + Self.margin * paddedSide + Self.margin
      for row in 0..<side {
        (inside + row * paddedSide).update(from: input + (channel * side + row) * side, count: side)
      }
    }
    var target = windows.base
    for channel in 0..<inputChannels {
      let plane = padded.base + channel * paddedSide * paddedSide
      for y in 0..<Self.window {
        for x in 0..<Self.window {
          for row in 0..<side {
            target.update(from: plane + (row + y) * paddedSide + x, count: side)
            target += side
          }
        }
      }
    }
  }

  /// Adds the columns of `windows` up where their pixels lie: the transpose of `unroll`.
  private func roll(into inputGradient: UnsafeMutablePointer<Float>) {
    let paddedSide = side + 2 * Self.margin
    padded.zero()
    var source = windows.base
    for channel in 0..<inputChannels {
      let plane = padded.base + channel * paddedSide * paddedSide
      for y in 0..<Self.window {
        for x in 0..<Self.window {
          for row in 0..<side {
            let target = plane + (row + y) * paddedSide + x
            for column in 0..<side { target[column] += source[column] }
            source += side
          }
        }
      }
    }
    for channel in 0..<inputChannels {
      let inside = padded.base + channel * paddedSide * paddedSide + Self.margin * paddedSide + Self.margin
      for row in 0..<side {
        (inputGradient + (channel * side + row) * side).update(from: inside + row * paddedSide, count: side)
      }
    }
    padded.zero()
  }
}
