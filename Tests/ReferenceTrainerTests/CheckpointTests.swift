import Foundation
import Testing

@testable import ReferenceTrainer

/// What is written, what is read back, and what is refused.
@Suite struct CheckpointTests {
  private static let shape = NetworkShape(side: 8, firstChannels: 2, secondChannels: 3, hidden: 5, classes: 3)

  private static func checkpoint(step: Int = 7, seed: UInt64 = .max) -> Checkpoint {
    let values = shape.initialParameters(seed: seed)
    return Checkpoint(
      state: CheckpointState(
        step: step, seed: seed, sampler: .init(seed: seed, epoch: 1, position: 3), worldSize: 2, shape: shape,
        hyperparameters: Settings().hyperparameters, datasetDigest: "0123", kernel: "K"),
      parameters: values, velocities: values.map { -$0 / 3 })
  }

  @Test func readsBackWhatWasWritten() throws {
    try Scratch.with { folder in
      let saved = Self.checkpoint()
      #expect(try CheckpointFolder(path: folder + "/new").save(saved) == .saved)
      let loaded = try CheckpointFolder.load(folder + "/new/step-7")
      #expect(loaded.parameters == saved.parameters)
      #expect(loaded.velocities == saved.velocities)
      #expect(loaded.state.sampler == saved.state.sampler)
      #expect(loaded.state.hyperparameters == saved.state.hyperparameters)
      #expect(loaded.state.seed == .max)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/new") == ["step-7"])
    }
  }

  @Test func anExistingStepIsNotWrittenAgain() throws {
    try Scratch.with { (folder) throws in
      let target = CheckpointFolder(path: folder)
      #expect(try target.save(Self.checkpoint(seed: 1)) == .saved)
      #expect(try target.save(Self.checkpoint(seed: 2)) == .existed)
      #expect(try CheckpointFolder.load(folder + "/step-7").state.seed == 1)
    }
  }

  @Test func anInterruptedSaveIsReplaced() throws {
    try Scratch.with { folder in
      try Scratch.write("half", to: folder + "/step-7.tmp/tensors.bin")
      #expect(try CheckpointFolder(path: folder).save(Self.checkpoint()) == .saved)
      #expect(try CheckpointFolder.load(folder + "/step-7").state.step == 7)
    }
  }

  @Test func anyFlippedByteIsNoticed() throws {
    try Scratch.with { folder in
      _ = try CheckpointFolder(path: folder).save(Self.checkpoint())
      for name in ["tensors.bin", "state.json"] {
        let url = URL(fileURLWithPath: folder + "/step-7/" + name)
        let whole = try Data(contentsOf: url)
        for position in stride(from: 0, to: whole.count, by: 41) {
          var damaged = whole
          damaged[position] ^= 1
          // A flipped blank between two words of JSON changes nothing that is read.
          if name == "state.json", whole[position] == UInt8(ascii: " ") || whole[position] == UInt8(ascii: "\n") {
            continue
          }
          try damaged.write(to: url)
          #expect(throws: TrainerError.self, "byte \(position) of \(name)") {
            try CheckpointFolder.load(folder + "/step-7")
          }
        }
        try whole.prefix(whole.count - 4).write(to: url)
        #expect {
          _ = try CheckpointFolder.load(folder + "/step-7")
        } throws: {
          ($0 as? TrainerError)?.code == .badInput
        }
        try whole.write(to: url)
      }
      #expect(try CheckpointFolder.load(folder + "/step-7").state.step == 7)
    }
  }

  @Test func anAbsentCheckpointIsNotADamagedOne() throws {
    try Scratch.with { folder in
      #expect {
        _ = try CheckpointFolder.load(folder + "/step-1")
      } throws: {
        ($0 as? TrainerError)?.code == .noInput
      }
    }
  }

  @Test func everyDifferenceToTheRunIsNamed() {
    let fresh = Self.checkpoint().state
    let changes: [(String, (inout CheckpointState) -> Void)] = [
      ("network", { $0.shape.hidden += 1 }), ("hyper-parameters", { $0.hyperparameters.momentum = 0 }),
      ("seed", { $0.seed = 3 }), ("data", { $0.datasetDigest = "4" }), ("last bits would differ", { $0.worldSize = 4 }),
      ("cannot be", { $0.sampler.position = 99 }), ("cannot be", { $0.step = -1 }),
    ]
    for (words, change) in changes {
      var saved = fresh
      change(&saved)
      #expect {
        try Resume.check(saved, against: fresh, imageCount: 50, allowWorldSizeChange: false)
      } throws: {
        "\($0)".contains(words)
      }
    }
    #expect(throws: Never.self) {
      try Resume.check(fresh, against: fresh, imageCount: 50, allowWorldSizeChange: false)
      var saved = fresh
      saved.worldSize = 4
      try Resume.check(saved, against: fresh, imageCount: 50, allowWorldSizeChange: true)
    }
  }
}
