import Foundation
import Glibc
import LinearAlgebra
import Testing

@testable import ReferenceTrainer

/// Downpour by real processes: one worker is an ordinary loop, several converge, and no death is overlooked.
@Suite(.serialized) struct DownpourProcessTests {
  private static let mode = ["--mode", "downpour", "--learning-rate", "0.02"]

  private static func words(_ more: String...) -> [String] { mode + more }

  @Test func oneWorkerIsSequentialAdagrad() throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let world = try World(folder, "one", size: 1).run(Self.words("--epochs", "2"))
      #expect(world.codes == [0])
      let saved = try CheckpointFolder.load(world.path("ckpt/step-20"))
      let expected = try Self.sequential(Dataset.load(folder: folder + "/data"), saved.state, steps: 20)
      #expect(saved.parameters == expected.weights)
      #expect(saved.velocities == expected.squares)
      #expect(try world.series().filter { $0.metric == "loss" }.map(\.value) == expected.losses)
      #expect(try world.series().filter { $0.metric == "test_accuracy" }.map(\.step) == [10, 20])
    }
  }

  /// Adagrad in a plain loop over the same batches.
  private static func sequential(
    _ dataset: Dataset, _ state: CheckpointState, steps: Int
  ) throws -> (weights: [Float], squares: [Float], losses: [Double]) {
    BLAS.useOneThread()
    let batch = state.hyperparameters.batch
    let network = Network(shape: state.shape, capacity: batch)
    let images = FloatBuffer(count: batch * state.shape.side * state.shape.side)
    var weights = state.shape.initialParameters(seed: state.seed)
    var squares = weights.map { _ in Float(0) }
    var losses: [Double] = []
    var sampler = Sampler(
      .init(seed: state.seed, epoch: 0, position: 0), count: dataset.training.count, batch: batch)
    for _ in 0..<steps {
      network.parameters.assign(weights)
      let epoch = sampler.state.epoch
      let chosen = sampler.next().map { dataset.training[$0] }[...]
      dataset.copy(
        chosen, into: images, shifts: Shifts(seed: state.seed, epoch: epoch, pixelsMax: state.hyperparameters.shift))
      let sum = network.lossAndGradients(images, labels: dataset.labels(of: chosen), scale: 1 / Float(chosen.count))
      losses.append(sum / Double(chosen.count))
      for (index, gradient) in network.gradients.values.enumerated() {
        squares[index] += gradient * gradient
        if squares[index] > 0 {
          weights[index] -= Float(state.hyperparameters.learningRate) * gradient / squares[index].squareRoot()
        }
      }
    }
    return (weights, squares, losses)
  }

  @Test func aResumedRunOfOneWorkerEqualsOneThatWasNeverInterrupted() throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let whole = try World(folder, "whole", size: 1)
        .run(Self.words("--epochs", "3", "--checkpoint-every-steps", "1"))
      let series = try whole.series()
      #expect(series.filter { $0.metric == "loss" }.map(\.step) == Array(1...30))
      for step in [1, 10, 23, 30] {
        let resumed = try World(folder, "from-\(step)", size: 1, resumeFrom: whole.path("ckpt/step-\(step)"))
          .run(Self.words("--epochs", "3"))
        #expect(resumed.codes == [0])
        // All that is left to do after the last step is the last test.
        let missing = series.filter { step < 30 ? $0.step > step : $0.step == 30 && $0.metric == "test_accuracy" }
        #expect(try resumed.series() == missing)
        #expect(try resumed.file("ckpt/step-30/tensors.bin") == whole.file("ckpt/step-30/tensors.bin"))
      }
    }
  }

  @Test(arguments: [["--epochs", "12"], ["--epochs", "16", "--fetch-every", "2", "--push-every", "3"]])
  func severalWorkersConverge(words: [String]) throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let world = try World(folder, "world", size: 3).run(Self.mode + words + ["--warm-start-steps", "5"])
      #expect(world.codes == [0, 0, 0])
      let accuracy = try #require(try world.series().last { $0.metric == "test_accuracy" })
      #expect(accuracy.value > 0.9)
      // 160 images: 53, 53 and 54 a worker, four steps of up to 16 an epoch.
      let steps = 3 * 4 * (Int(words[1]) ?? 0)
      #expect(accuracy.step == steps)
      let saved = try CheckpointFolder.load(world.path("ckpt/step-\(steps)"))
      #expect(saved.state.downpour?.workers.map(\.steps) == Array(repeating: steps / 3, count: 3))
    }
  }

  @Test(arguments: [0, 1])
  func aTermSignalToOneRankSavesWhatAllHaveDone(rank: Int) throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let first = World(folder, "first")
      let ranks = try first.start(Self.words("--epochs", "100000"))
      #expect(try ranks[0].line(containing: "images/s") != nil)
      ranks[rank].signal(SIGTERM)
      #expect(try ranks.map { try $0.wait() } == [85, 85])
      let name = try #require(try first.checkpoints().first)
      #expect(try first.checkpoints() == [name])
      let saved = try CheckpointFolder.load(first.path("ckpt/\(name)")).state
      let workers = try #require(saved.downpour?.workers)
      #expect(workers.reduce(0) { $0 + $1.steps } == saved.step && name == "step-\(saved.step)")
      let logged = try first.series().map(\.step)
      #expect(try #require(logged.last) <= saved.step)

      // Workers are made to end at a step that both have still to reach.
      let last = (workers.map(\.steps).max() ?? 0) + 5
      let resumed = World(folder, "resumed", resumeFrom: first.path("ckpt/\(name)"))
      #expect(try resumed.run(Self.words("--epochs", "100000", "--steps-max", "\(last)")).codes == [0, 0])
      let end = try CheckpointFolder.load(resumed.path("ckpt/step-\(2 * last)")).state
      #expect(end.downpour?.workers.map(\.steps) == [last, last])
      #expect(try #require(try resumed.series().first).step > saved.step)
      let three = World(folder, "three", size: 3, resumeFrom: first.path("ckpt/\(name)"))
      #expect(try three.run(Self.words("--epochs", "100000")).codes == [78, 78, 78])
    }
  }

  @Test func aUserSignalSavesAndGoesOn() throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let world = World(folder, "world")
      let ranks = try world.start(Self.words("--epochs", "100000"))
      #expect(try ranks[0].line(containing: "images/s") != nil)
      ranks[1].signal(SIGUSR1)
      #expect(try ranks[0].line(containing: "saved in") != nil)
      #expect(try ranks[0].line(containing: "images/s") != nil)
      ranks[0].signal(SIGTERM)
      #expect(try ranks.map { try $0.wait() } == [85, 85])
      #expect(try world.checkpoints().count == 2)
    }
  }

  @Test(arguments: [0, 1, 2])
  func theDeathOfARankEndsTheOthers(victim: Int) throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let world = World(folder, "world", size: 3)
      let ranks = try world.start(Self.words("--epochs", "100000"))
      #expect(try ranks[0].line(containing: "images/s") != nil)
      ranks[victim].signal(SIGKILL)
      for rank in 0..<3 { #expect(try ranks[rank].wait() == (rank == victim ? 128 + SIGKILL : 75)) }
      #expect(try world.checkpoints().isEmpty)
    }
  }

  @Test func anUnwritableFolderFailsTheEndOnEveryRank() throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      try Scratch.write("", to: folder + "/world/ckpt")
      #expect(try World(folder, "world").run(Self.words("--epochs", "1")).codes == [74, 74])
    }
  }
}
