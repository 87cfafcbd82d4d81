/// The sizes of the network: two convolution blocks and two dense layers.
///
/// `side x side` pixels -> 5x5 convolution, ReLU, 2x2 maximum -> the same again -> dense, ReLU -> dense.
struct NetworkShape: Codable, Equatable, Sendable {
  /// Pixels along an edge of an image; a multiple of 4, as each block halves it.
  var side: Int
  /// Output channels of the first convolution.
  var firstChannels: Int
  /// Output channels of the second convolution.
  var secondChannels: Int
  /// Width of the first dense layer.
  var hidden: Int
  /// How many classes there are.
  var classes: Int

  /// Edge of the convolution windows.
  static let window = 5

  /// One named part of the flat vector of parameters.
  struct Parameter: Equatable {
    let name: String
    let offset: Int
    let count: Int
    /// How many inputs each output sums over; 0 for a bias.
    let fanIn: Int
  }

  /// Values of the last pooled block of one image.
  var featureCount: Int {
    secondChannels * (side / 4) * (side / 4)
  }

  /// All parts in the order in which they lie in memory, in checkpoints and in the all-reduce.
  var parameters: [Parameter] {
    let area = Self.window * Self.window
    let parts: [(name: String, count: Int, fanIn: Int)] = [
      ("conv1.weight", firstChannels * area, area),
      ("conv1.bias", firstChannels, 0),
      ("conv2.weight", secondChannels * firstChannels * area, firstChannels * area),
      ("conv2.bias", secondChannels, 0),
      ("dense1.weight", hidden * featureCount, featureCount),
      ("dense1.bias", hidden, 0),
      ("dense2.weight", classes * hidden, hidden),
      ("dense2.bias", classes, 0),
    ]
    var offset = 0
    return parts.map { part in
      defer { offset += part.count }
      return Parameter(name: part.name, offset: offset, count: part.count, fanIn: part.fanIn)
    }
  }

  /// The length of the flat vector of parameters.
  var parameterCount: Int {
    parameters.reduce(0) { $0 + $1.count }
  }

  /// The starting parameters: He's uniform distribution for weights, zero for biases.
  ///
  /// Uniform, not normal, because it needs only sums, products and square roots, which IEEE 754 rounds
  /// the same everywhere; `log` and `cos` differ between versions of the C library.
  func initialParameters(seed: UInt64) -> [Float] {
    var generator = SplitMix64(seed: seed, purpose: .weights)
    var values: [Float] = []
    values.reserveCapacity(parameterCount)
    for parameter in parameters {
      let limit = parameter.fanIn == 0 ? 0 : (6 / Float(parameter.fanIn)).squareRoot()
      for _ in 0..<parameter.count {
        values.append(parameter.fanIn == 0 ? 0 : (generator.nextUnit() * 2 - 1) * limit)
      }
    }
    return values
  }
}
