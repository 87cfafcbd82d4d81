import LinearAlgebra
import Testing

@testable import ReferenceTrainer

/// Every layer against plain loops and central differences in double precision.
@Suite struct GradientTests {
  private static let seeds: [UInt64] = [1, 2, 3]

  @Test(arguments: seeds)
  func convolutionAgreesWithPlainLoops(seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    let (inputs, outputs, side) = (2, 3, 6)
    let parameters = generator.floats(outputs * inputs * 25 + outputs)
    let input = generator.floats(inputs * side * side)
    let slope = generator.floats(outputs * side * side)
    let (weightBuffer, gradients) = (FloatBuffer(parameters), FloatBuffer(count: parameters.count))
    let (inputBuffer, slopeBuffer) = (FloatBuffer(input), FloatBuffer(slope))
    let (output, inputGradient) = (FloatBuffer(count: slope.count), FloatBuffer(count: input.count))
    let layer = Convolution(
      inputChannels: inputs, outputChannels: outputs, side: side, parameters: weightBuffer.base,
      gradients: gradients.base)
    // Twice: the first pass must leave nothing behind that changes the second.
    layer.forward(inputBuffer.base, into: output.base)
    layer.backward(inputBuffer.base, outputGradient: slopeBuffer.base, inputGradient: inputGradient.base)
    gradients.zero()
    layer.forward(inputBuffer.base, into: output.base)
    layer.backward(inputBuffer.base, outputGradient: slopeBuffer.base, inputGradient: inputGradient.base)
    withExtendedLifetime((weightBuffer, inputBuffer, slopeBuffer)) {}

    let plain = { (parameters: [Double], input: [Double]) in
      ReferenceMath.convolve(
        input, inputs: inputs, outputs: outputs, side: side, weights: parameters,
        bias: Array(parameters[(outputs * inputs * 25)...]))
    }
    let (exactParameters, exactInput) = (parameters.map(Double.init), input.map(Double.init))
    let weighed = { (values: [Double]) in zip(values, slope).reduce(0) { $0 + $1.0 * Double($1.1) } }
    #expect(distance(output.values, plain(exactParameters, exactInput)) < 1e-5)
    let byParameters = ReferenceMath.gradient(at: exactParameters) { weighed(plain($0, exactInput)) }
    #expect(distance(gradients.values, byParameters) < 1e-4)
    let byInput = ReferenceMath.gradient(at: exactInput) { weighed(plain(exactParameters, $0)) }
    #expect(distance(inputGradient.values, byInput) < 1e-4)
  }

  @Test(arguments: seeds)
  func poolingAgreesWithPlainLoops(seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    let (channels, side) = (3, 6)
    let input = generator.floats(channels * side * side)
    let slope = generator.floats(input.count / 4)
    let (output, inputGradient) = (FloatBuffer(count: slope.count), FloatBuffer(count: input.count))
    let (inputBuffer, slopeBuffer) = (FloatBuffer(input), FloatBuffer(slope))
    var winners = [UInt8](repeating: 0, count: slope.count)
    winners.withUnsafeMutableBufferPointer { winners in
      guard let winners = winners.baseAddress else { return }
      MaximumPool.forward(
        inputBuffer.base, channels: channels, side: side, into: output.base, winners: winners)
      MaximumPool.backward(
        slopeBuffer.base, winners: winners, channels: channels, side: side, into: inputGradient.base)
    }
    withExtendedLifetime((inputBuffer, slopeBuffer)) {}
    let exact = input.map(Double.init)
    #expect(output.values.map(Double.init) == ReferenceMath.pool(exact, channels: channels, side: side))
    let expected = ReferenceMath.gradient(at: exact) { point in
      zip(ReferenceMath.pool(point, channels: channels, side: side), slope).reduce(0) { $0 + $1.0 * Double($1.1) }
    }
    #expect(distance(inputGradient.values, expected) < 1e-6)
  }

  @Test(arguments: seeds)
  func denseAgreesWithPlainLoops(seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    let (inputs, outputs, count) = (7, 4, 3)
    let parameters = generator.floats(outputs * inputs + outputs)
    let (input, slope) = (generator.floats(count * inputs), generator.floats(count * outputs))
    let (weightBuffer, gradients) = (FloatBuffer(parameters), FloatBuffer(count: parameters.count))
    let (inputBuffer, slopeBuffer) = (FloatBuffer(input), FloatBuffer(slope))
    let (output, inputGradient) = (FloatBuffer(count: slope.count), FloatBuffer(count: input.count))
    let layer = Dense(inputs: inputs, outputs: outputs, parameters: weightBuffer.base, gradients: gradients.base)
    layer.forward(inputBuffer.base, count: count, into: output.base)
    layer.backward(
      inputBuffer.base, count: count, outputGradient: slopeBuffer.base, inputGradient: inputGradient.base)
    withExtendedLifetime((weightBuffer, inputBuffer, slopeBuffer)) {}

    let plain = { (parameters: [Double], input: [Double]) in
      (0..<count).flatMap { image in
        ReferenceMath.dense(
          Array(input[image * inputs..<(image + 1) * inputs]), outputs: outputs, weights: parameters,
          bias: Array(parameters[(outputs * inputs)...]))
      }
    }
    let (exactParameters, exactInput) = (parameters.map(Double.init), input.map(Double.init))
    let weighed = { (values: [Double]) in zip(values, slope).reduce(0) { $0 + $1.0 * Double($1.1) } }
    #expect(distance(output.values, plain(exactParameters, exactInput)) < 1e-5)
    #expect(
      distance(gradients.values, ReferenceMath.gradient(at: exactParameters) { weighed(plain($0, exactInput)) }) < 1e-4)
    #expect(
      distance(inputGradient.values, ReferenceMath.gradient(at: exactInput) { weighed(plain(exactParameters, $0)) })
        < 1e-4)
  }

  @Test(arguments: seeds)
  func softmaxAgreesWithDifferences(seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    let scores = generator.floats(10).map { $0 * 20 }
    let labels: [UInt8] = [3, 1]
    let buffer = FloatBuffer(scores)
    let loss = SoftmaxLoss.lossAndGradient(buffer.base, classes: 5, labels: labels, scale: 0.5)
    let plain = { (scores: [Double]) in
      ReferenceMath.loss(Array(scores[..<5]), label: 3) + ReferenceMath.loss(Array(scores[5...]), label: 1)
    }
    #expect(abs(loss - plain(scores.map(Double.init))) < 1e-5)
    let expected = ReferenceMath.gradient(at: scores.map(Double.init)) { plain($0) / 2 }
    #expect(distance(buffer.values, expected) < 1e-6)
  }

  @Test(arguments: seeds)
  func wholeNetworkAgreesWithDifferences(seed: UInt64) {
    let shape = NetworkShape(side: 8, firstChannels: 2, secondChannels: 3, hidden: 5, classes: 3)
    var generator = SplitMix64(seed: seed)
    let labels: [UInt8] = [0, 2, 1]
    let images = generator.floats(labels.count * 64)
    let network = Network(shape: shape, capacity: 4)
    network.parameters.assign(shape.initialParameters(seed: seed))
    let plain = { (parameters: [Double]) in
      labels.enumerated().reduce(0.0) { sum, item in
        let image = images[item.offset * 64..<(item.offset + 1) * 64].map(Double.init)
        return sum + ReferenceMath.loss(parameters, shape, image: image, label: Int(item.element))
      }
    }
    let exact = network.parameters.values.map(Double.init)
    let loss = network.lossAndGradients(FloatBuffer(images), labels: labels, scale: 1)
    #expect(abs(loss - plain(exact)) < 1e-5)
    #expect(distance(network.gradients.values, ReferenceMath.gradient(at: exact, of: plain)) < 1e-4)
  }

  @Test func anEmptyShareHasNoGradient() {
    let shape = NetworkShape(side: 8, firstChannels: 2, secondChannels: 3, hidden: 5, classes: 3)
    let network = Network(shape: shape, capacity: 1)
    network.parameters.assign(shape.initialParameters(seed: 1))
    #expect(network.lossAndGradients(FloatBuffer(count: 64), labels: [1], scale: 1) > 0)
    #expect(network.lossAndGradients(FloatBuffer(count: 64), labels: [], scale: 1) == 0)
    #expect(network.gradients.values.allSatisfy { $0 == 0 })
  }

  @Test func brokenWeightsAreNoticedThoughTheLossLooksWell() throws {
    let data = try Digits.dataset(images: 50)
    let shape = NetworkShape(side: 8, firstChannels: 2, secondChannels: 3, hidden: 5, classes: data.classes)
    var weights = shape.initialParameters(seed: 1)
    weights[0] = .nan
    var settings = Settings()
    settings.hyperparameters.batch = 8
    let state = CheckpointState(
      step: 0, seed: 1, sampler: .init(seed: 1, epoch: 0, position: 0), worldSize: 1, shape: shape,
      hyperparameters: settings.hyperparameters, datasetDigest: data.digest, kernel: "K")
    let checkpoint = Checkpoint(state: state, parameters: weights, velocities: weights.map { _ in 0 })
    let trainer = Trainer(
      settings: settings, dataset: data, state: state, checkpoint: checkpoint, ring: .alone(), folder: nil,
      metrics: try MetricsLog(path: "") { 0 }, surroundings: Surroundings(now: { 0 }, requests: { [] }, say: { _ in }))
    #expect {
      try trainer.run()
    } throws: { error in
      (error as? TrainerError)?.code == .diverged && "\(error)".contains("weight")
    }
  }

  @Test(arguments: [Float.nan, -.nan, .infinity, -.infinity])
  func oneBadValueIsFoundAmongMany(value: Float) {
    let buffer = FloatBuffer([.greatestFiniteMagnitude, -.greatestFiniteMagnitude, 0, -0.0, .leastNonzeroMagnitude])
    #expect(buffer.isFinite)
    for index in 0..<buffer.count {
      let kept = buffer.base[index]
      buffer.base[index] = value
      #expect(!buffer.isFinite)
      buffer.base[index] = kept
    }
    withExtendedLifetime(buffer) {}
  }

  @Test func momentumFollowsItsFormula() {
    let settings = Hyperparameters(
      batch: 1, learningRate: 0.5, learningRateDecay: 0.5, momentum: 0.5, weightDecay: 0.25, shift: 0)
    let (weights, slopes) = (FloatBuffer([4]), FloatBuffer([2]))
    let optimizer = MomentumOptimizer(count: 1)
    optimizer.step(weights, gradients: slopes, settings, epoch: 0)
    #expect(optimizer.velocities.values == [3])
    #expect(weights.values == [2.5])
    optimizer.step(weights, gradients: slopes, settings, epoch: 1)
    #expect(optimizer.velocities.values == [4.125])
    #expect(weights.values == [1.46875])
  }

  @Test func multiplyReadsOrientations() {
    BLAS.useOneThread()
    let (a, b, c) = (FloatBuffer([1, 2, 3, 4, 5, 6]), FloatBuffer([1, 0, 2, 1, 1, 1]), FloatBuffer(count: 4))
    BLAS.multiply(
      MatrixView(a.base, rows: 2, columns: 3), by: MatrixView(b.base, rows: 2, columns: 3), .transposed,
      into: MatrixView(c.base, rows: 2, columns: 2))
    #expect(c.values == [7, 6, 16, 15])
    BLAS.multiply(
      MatrixView(a.base, rows: 3, columns: 2), .transposed, by: MatrixView(b.base, rows: 3, columns: 2),
      into: MatrixView(c.base, rows: 2, columns: 2), accumulate: true)
    withExtendedLifetime((a, b)) {}
    let expected: [Float] = [19, 14, 32, 25]
    #expect(c.values == expected)
    #expect(!BLAS.kernelName.isEmpty)
  }
}
