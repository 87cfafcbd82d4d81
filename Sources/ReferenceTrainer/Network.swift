/// The network with its parameters, its gradients and the memory for one batch.
///
/// Parameters and gradients are flat vectors, so that an all-reduce, an optimiser step and a checkpoint are
/// one pass over one array. One thread at a time.
final class Network {
  let shape: NetworkShape
  /// The most images one call takes.
  let capacity: Int
  /// The flat parameters, laid out as `shape.parameters` says.
  let parameters: FloatBuffer
  /// The flat gradients, followed by `tail` values that travel with them in the all-reduce.
  let gradients: FloatBuffer
  private let first: ConvolutionBlock
  private let second: ConvolutionBlock
  private let hiddenLayer: Dense
  private let outputLayer: Dense
  private let hidden: FloatBuffer
  private let scores: FloatBuffer
  private let hiddenGradient: FloatBuffer
  private let featureGradient: FloatBuffer
  private let middleGradient: FloatBuffer

  /// Makes a network whose parameters are all zero.
  init(shape: NetworkShape, capacity: Int, tail: Int = 0) {
    self.shape = shape
    self.capacity = capacity
    parameters = FloatBuffer(count: shape.parameterCount)
    gradients = FloatBuffer(count: shape.parameterCount + tail)
    let parts = shape.parameters
    let (weights, slopes) = (parameters.base, gradients.base)
    first = ConvolutionBlock(
      Convolution(
        inputChannels: 1, outputChannels: shape.firstChannels, side: shape.side,
        parameters: weights + parts[0].offset, gradients: slopes + parts[0].offset), capacity: capacity)
    second = ConvolutionBlock(
      Convolution(
        inputChannels: shape.firstChannels, outputChannels: shape.secondChannels, side: shape.side / 2,
        parameters: weights + parts[2].offset, gradients: slopes + parts[2].offset), capacity: capacity)
    hiddenLayer = Dense(
      inputs: shape.featureCount, outputs: shape.hidden,
      parameters: weights + parts[4].offset, gradients: slopes + parts[4].offset)
    outputLayer = Dense(
      inputs: shape.hidden, outputs: shape.classes,
      parameters: weights + parts[6].offset, gradients: slopes + parts[6].offset)
    hidden = FloatBuffer(count: capacity * shape.hidden)
    scores = FloatBuffer(count: capacity * shape.classes)
    hiddenGradient = FloatBuffer(count: capacity * shape.hidden)
    featureGradient = FloatBuffer(count: capacity * shape.featureCount)
    middleGradient = FloatBuffer(count: first.pooled.count)
  }

  /// Computes the loss of a batch and its gradients, replacing what `gradients` held.
  ///
  /// - Parameters:
  ///   - images: `labels.count` images of `side * side` values; at most `capacity`, and none is fine.
  ///   - scale: what each image weighs, `1 / images of the global batch`.
  /// - Returns: the unscaled sum of the losses.
  func lossAndGradients(_ images: FloatBuffer, labels: [UInt8], scale: Float) -> Double {
    gradients.zero()
    let count = labels.count
    guard count > 0 else { return 0 }
    forward(images, count: count)
    let loss = SoftmaxLoss.lossAndGradient(scores.base, classes: shape.classes, labels: labels, scale: scale)
    outputLayer.backward(
      hidden.base, count: count, outputGradient: scores.base, inputGradient: hiddenGradient.base)
    Rectifier.backward(hidden.base, gradient: hiddenGradient.base, count: count * shape.hidden)
    hiddenLayer.backward(
      second.pooled.base, count: count, outputGradient: hiddenGradient.base, inputGradient: featureGradient.base)
    second.backward(
      first.pooled.base, count: count, pooledGradient: featureGradient.base, inputGradient: middleGradient.base)
    first.backward(images.base, count: count, pooledGradient: middleGradient.base, inputGradient: nil)
    return loss
  }

  /// Counts the images whose label the network names.
  ///
  /// Gradients stay as they are.
  func correct(_ images: FloatBuffer, labels: [UInt8]) -> Int {
    guard !labels.isEmpty else { return 0 }
    forward(images, count: labels.count)
    return SoftmaxLoss.correct(scores.base, classes: shape.classes, labels: labels)
  }

  private func forward(_ images: FloatBuffer, count: Int) {
    precondition(count <= capacity && count * shape.side * shape.side <= images.count)
    first.forward(images.base, count: count)
    second.forward(first.pooled.base, count: count)
    hiddenLayer.forward(second.pooled.base, count: count, into: hidden.base)
    Rectifier.forward(hidden.base, count: count * shape.hidden)
    outputLayer.forward(hidden.base, count: count, into: scores.base)
  }
}

/// Convolution, ReLU and 2x2 maximum over a batch; keeps only what the way back needs.
final class ConvolutionBlock {
  private let convolution: Convolution
  /// The results of the last batch, `[image][channel][row][column]`.
  let pooled: FloatBuffer
  private let winners: UnsafeMutablePointer<UInt8>
  private let plane: FloatBuffer

  init(_ convolution: Convolution, capacity: Int) {
    self.convolution = convolution
    let pixels = convolution.outputChannels * convolution.side * convolution.side
    pooled = FloatBuffer(count: capacity * pixels / 4)
    winners = .allocate(capacity: capacity * pixels / 4)
    winners.initialize(repeating: MaximumPool.none, count: capacity * pixels / 4)
    plane = FloatBuffer(count: pixels)
  }

  deinit {
    winners.deallocate()
  }

  func forward(_ input: UnsafeMutablePointer<Float>, count: Int) {
    let outputSize = plane.count / 4
    for image in 0..<count {
      convolution.forward(input + image * inputSize, into: plane.base)
      MaximumPool.forward(
        plane.base, channels: convolution.outputChannels, side: convolution.side,
        into: pooled.base + image * outputSize, winners: winners + image * outputSize)
    }
  }

  func backward(
    _ input: UnsafeMutablePointer<Float>, count: Int,
    pooledGradient: UnsafeMutablePointer<Float>, inputGradient: UnsafeMutablePointer<Float>?
  ) {
    let outputSize = plane.count / 4
    for image in 0..<count {
      MaximumPool.backward(
        pooledGradient + image * outputSize, winners: winners + image * outputSize,
        channels: convolution.outputChannels, side: convolution.side, into: plane.base)
      convolution.backward(
        input + image * inputSize, outputGradient: plane.base,
        inputGradient: inputGradient.map { $0 + image * inputSize })
    }
  }

  private var inputSize: Int {
    convolution.inputChannels * convolution.side * convolution.side
  }
}
