import Foundation
import Glibc
import Testing

@testable import ReferenceTrainer

/// The real program as real processes: signals, deaths, resumption.
@Suite(.serialized) struct ProcessTests {
  @Test func aResumedRunEqualsOneThatWasNeverInterrupted() throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let whole = try World(folder, "whole").run("--epochs", "3", "--checkpoint-every-steps", "1")
      #expect(whole.codes == [0, 0])
      let series = try whole.series()
      #expect(series.filter { $0.metric == "loss" }.map(\.step) == Array(1...30))
      #expect(series.filter { $0.metric == "test_accuracy" }.map(\.step) == [10, 20, 30])
      let weights = try whole.file("ckpt/step-30/tensors.bin")
      // In the middle of an epoch, at its end, and right after the start.
      for step in [1, 7, 10, 23, 30] {
        let resumed = try World(folder, "from-\(step)", resumeFrom: whole.path("ckpt/step-\(step)"))
          .run("--epochs", "3")
        #expect(resumed.codes == [0, 0])
        #expect(try resumed.series() == series.filter { $0.step > step })
        let saved = try JSONDecoder().decode(
          World.Saved.self, from: Data(whole.file("ckpt/step-\(step)/baton-state.json")))
        let loaded = try #require(try resumed.loaded())
        #expect(loaded.step == step && saved.step == step && loaded.ingredients == saved.ranks["0"])
        if step < 30 { #expect(try resumed.file("ckpt/step-30/tensors.bin") == weights) }
      }
      let again = try World(folder, "again").run("--epochs", "3")
      #expect(try again.series() == series)
      #expect(try again.file("ckpt/step-30/state.json") == whole.file("ckpt/step-30/state.json"))
      let other = try World(folder, "other").run("--epochs", "3", "--seed", "2")
      #expect(try other.series() != series)
    }
  }

  @Test func aTermSignalToOneRankMakesAllSaveAtTheSameStep() throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let first = World(folder, "first")
      let ranks = try first.start("--epochs", "100000")
      #expect(try ranks[0].line(containing: "step 50 ") != nil)
      ranks[1].signal(SIGTERM)
      #expect(try ranks.map { try $0.wait() } == [85, 85])
      let step = try #require(try first.series().last?.step)
      #expect(try first.checkpoints() == ["step-\(step)"])

      let resumed = try World(folder, "resumed", resumeFrom: first.path("ckpt/step-\(step)"))
        .run("--epochs", "100000", "--steps-max", "\(step + 15)")
      let whole = try World(folder, "whole").run("--epochs", "100000", "--steps-max", "\(step + 15)")
      #expect(try first.series() + resumed.series() == whole.series())
      #expect(
        try resumed.file("ckpt/step-\(step + 15)/tensors.bin") == whole.file("ckpt/step-\(step + 15)/tensors.bin"))
    }
  }

  @Test func aUserSignalSavesAndGoesOn() throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let world = World(folder, "world")
      let ranks = try world.start("--epochs", "100000")
      #expect(try ranks[0].line(containing: "step 50 ") != nil)
      ranks[1].signal(SIGUSR1)
      let saved = try #require(try ranks[0].line(containing: "saved in"))
      #expect(try ranks[0].line(containing: "ms/step") != nil)
      ranks[0].signal(SIGTERM)
      #expect(try ranks.map { try $0.wait() } == [85, 85])
      let checkpoints = try world.checkpoints()
      #expect(checkpoints.count == 2)
      #expect(checkpoints.contains { saved.contains("\($0) ") })
      for checkpoint in checkpoints { _ = try CheckpointFolder.load(world.path("ckpt/\(checkpoint)")) }
    }
  }

  @Test(arguments: [0, 1])
  func theDeathOfARankEndsTheOther(victim: Int) throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let world = World(folder, "world")
      let ranks = try world.start("--epochs", "100000")
      #expect(try ranks[0].line(containing: "step 50 ") != nil)
      ranks[victim].signal(SIGKILL)
      #expect(try ranks[1 - victim].wait() == 75)
      #expect(try ranks[victim].wait() == 128 + SIGKILL)
      #expect(try world.checkpoints().isEmpty)
    }
  }

  @Test func anotherNumberOfRanksIsRefusedUnlessAllowed() throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let two = try World(folder, "two").run("--epochs", "1")
      let from = two.path("ckpt/step-10")
      #expect(try World(folder, "one", size: 1, resumeFrom: from).run("--epochs", "2").codes == [78])
      let allowed = try World(folder, "allowed", size: 1, resumeFrom: from)
        .run("--epochs", "2", "--allow-world-size-change")
      #expect(allowed.codes == [0])
      #expect(try allowed.series().first?.step == 11)
      #expect(try World(folder, "seed", resumeFrom: from).run("--epochs", "2", "--seed", "9").codes == [78, 78])
      #expect(try World(folder, "rate", resumeFrom: from).run("--learning-rate", "0.5").codes == [78, 78])
    }
  }

  @Test func threeRanksAndUnevenSharesWork() throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let world = try World(folder, "three", size: 3).run("--epochs", "2", "--batch", "7")
      #expect(world.codes == [0, 0, 0])
      #expect(try world.series().filter { $0.metric == "loss" }.count == 2 * 23)
      // More ranks than images: some have nothing to do and still take part.
      #expect(try World(folder, "idle", size: 3).run("--batch", "2", "--steps-max", "5").codes == [0, 0, 0])
    }
  }

  @Test func theNetworkLearns() throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let world = try World(folder, "one", size: 1).run("--epochs", "6")
      let accuracy = try #require(try world.series().last { $0.metric == "test_accuracy" }?.value)
      #expect(accuracy > 0.9)
    }
  }

  @Test func anUnwritableFolderFailsTheEndOnEveryRank() throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      try Scratch.write("", to: folder + "/world/ckpt")
      #expect(try World(folder, "world").run("--epochs", "1").codes == [74, 74])
    }
  }

  @Test func leavingWithoutAFolderSaysSo() throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let ranks = try World(folder, "world", size: 1, saves: false).start("--epochs", "100000")
      #expect(try ranks[0].line(containing: "step 50 ") != nil)
      ranks[0].signal(SIGTERM)
      #expect(try ranks[0].wait() == 143)
    }
  }

  @Test func aTermSignalWhileWaitingForPeersLeavesAtOnce() throws {
    try Scratch.with { folder in
      try Scratch.writeDigits(folder)
      let world = World(folder, "world")
      let rank = try world.start(rank: 0)
      #expect(try rank.line(containing: "rank 0 of 2") != nil)
      rank.signal(SIGTERM)
      #expect(try rank.wait() == 85)
      #expect(try world.checkpoints().isEmpty)
    }
  }

  @Test func badWordsAndMissingDataAreToldApart() throws {
    try Scratch.with { (folder) throws in
      #expect(try World(folder, "a", size: 1).run("--frobnicate").codes == [64])
      #expect(try World(folder, "b", size: 1).run("--epochs", "none").codes == [64])
      #expect(try World(folder, "c", size: 1).run("--data", folder + "/absent").codes == [66])
      #expect(try World(folder, "d", size: 1).run("--help").codes == [0])
    }
  }
}
