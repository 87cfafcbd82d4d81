import Glibc

/// Softmax and cross-entropy of a batch of scores.
enum SoftmaxLoss {
  /// Sums the cross-entropy of `count` images and turns their scores into gradients in place.
  ///
  /// - Parameter scale: what each image weighs in the mean over the global batch, `1 / images`.
  /// - Returns: the unscaled sum, added up in the order of the images.
  static func lossAndGradient(
    _ scores: UnsafeMutablePointer<Float>, classes: Int, labels: [UInt8], scale: Float
  ) -> Double {
    var total = 0.0
    for (image, label) in labels.enumerated() {
      let row = scores + image * classes
      var highest = row[0]
      for index in 1..<classes where row[index] > highest { highest = row[index] }
      var sum = 0.0
      for index in 0..<classes { sum += exp(Double(row[index] - highest)) }
      total += log(sum) - Double(row[Int(label)] - highest)
      for index in 0..<classes {
        let probability = exp(Double(row[index] - highest)) / sum
        row[index] = Float(probability - (index == Int(label) ? 1 : 0)) * scale
      }
    }
    return total
  }

  /// How many images have their label's score highest (the first of equals counts).
  static func correct(_ scores: UnsafeMutablePointer<Float>, classes: Int, labels: [UInt8]) -> Int {
    var correct = 0
    for (image, label) in labels.enumerated() {
      let row = scores + image * classes
      var best = 0
      for index in 1..<classes where row[index] > row[best] { best = index }
      if best == Int(label) { correct += 1 }
    }
    return correct
  }
}
