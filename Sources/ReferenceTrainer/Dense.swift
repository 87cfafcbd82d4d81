import LinearAlgebra

/// A fully connected layer over a batch; weights lie as `[output][input]`, batches as `[image][value]`.
final class Dense {
  let inputs: Int
  let outputs: Int
  private let weights: MatrixView
  private let bias: UnsafeMutablePointer<Float>
  private let weightGradients: MatrixView
  private let biasGradients: UnsafeMutablePointer<Float>

  /// Uses `parameters` and `gradients` in place: the weights first, then the biases.
  init(
    inputs: Int, outputs: Int, parameters: UnsafeMutablePointer<Float>, gradients: UnsafeMutablePointer<Float>
  ) {
    self.inputs = inputs
    self.outputs = outputs
    weights = MatrixView(parameters, rows: outputs, columns: inputs)
    bias = parameters + outputs * inputs
    weightGradients = MatrixView(gradients, rows: outputs, columns: inputs)
    biasGradients = gradients + outputs * inputs
  }

  /// Computes `output` (`count x outputs`).
  func forward(_ input: UnsafeMutablePointer<Float>, count: Int, into output: UnsafeMutablePointer<Float>) {
    for image in 0..<count {
      (output + image * outputs).update(from: bias, count: outputs)
    }
    BLAS.multiply(
      MatrixView(input, rows: count, columns: inputs), by: weights, .transposed,
      into: MatrixView(output, rows: count, columns: outputs), accumulate: true)
  }

  /// Adds the batch's share to the gradients of weights and biases, and computes that of the input.
  func backward(
    _ input: UnsafeMutablePointer<Float>, count: Int,
    outputGradient: UnsafeMutablePointer<Float>, inputGradient: UnsafeMutablePointer<Float>
  ) {
    let outputView = MatrixView(outputGradient, rows: count, columns: outputs)
    BLAS.multiply(
      outputView, .transposed, by: MatrixView(input, rows: count, columns: inputs),
      into: weightGradients, accumulate: true)
    for image in 0..<count {
      let row = outputGradient + image * outputs
      for output in 0..<outputs { biasGradients[output] += row[output] }
    }
    BLAS.multiply(
      outputView, by: weights, into: MatrixView(inputGradient, rows: count, columns: inputs))
  }
}

/// Rectification in place, and its gradient.
enum Rectifier {
  static func forward(_ values: UnsafeMutablePointer<Float>, count: Int) {
    for index in 0..<count { values[index] = values[index] > 0 ? values[index] : 0 }
  }

  /// Clears the gradient of every value that was not above zero after `forward`.
  static func backward(_ values: UnsafeMutablePointer<Float>, gradient: UnsafeMutablePointer<Float>, count: Int) {
    for index in 0..<count where !(values[index] > 0) { gradient[index] = 0 }
  }
}
