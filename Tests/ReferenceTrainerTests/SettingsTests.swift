import Foundation
import Testing

@testable import ReferenceTrainer

/// Words, variables and lines of metrics.
@Suite struct SettingsTests {
  @Test func flagsAreReadInBothForms() throws {
    guard
      case .train(let settings) = try Settings.parse([
        "--data", "d", "--epochs=3", "--batch", "32", "--channels=2,3", "--seed", "18446744073709551615",
        "--allow-world-size-change", "--learning-rate", "1e-2",
      ])
    else {
      Issue.record("these words ask for training")
      return
    }
    #expect(settings.dataFolder == "d")
    #expect(settings.epochs == 3)
    #expect(settings.hyperparameters.batch == 32)
    #expect(settings.firstChannels == 2 && settings.secondChannels == 3)
    #expect(settings.seed == .max)
    #expect(settings.allowWorldSizeChange)
    #expect(settings.hyperparameters.learningRate == 0.01)
  }

  @Test(arguments: [
    ["--epochs"], ["--epochs", "0"], ["--epochs", "x"], ["--channels", "3"], ["--channels", "1,2,3"],
    ["--seed", "-1"], ["--momentum", "1.5"], ["--learning-rate", "nan"], ["extra"], ["--unknown=1"], ["--data="],
    ["--allow-world-size-change=yes"],
  ])
  func badFlagsAreNamed(words: [String]) {
    #expect {
      _ = try Settings.parse(words)
    } throws: { error in
      (error as? TrainerError)?.code == .usage
        && "\(error)".contains(words[0].split(separator: "=").first.map(String.init) ?? words[0])
    }
  }

  @Test func helpNamesEveryFlag() throws {
    #expect(try Settings.parse(["--epochs", "3", "--help"]) == .help)
    for flag in ["--data", "--seed", "--steps-max", "--peer-timeout", "SIGUSR1", "EXAMPLES"] {
      #expect(Settings.help.contains(flag))
    }
  }

  @Test func anEmptyEnvironmentIsOneRank() throws {
    #expect(try TrainerEnvironment.read([:]) == TrainerEnvironment())
    #expect(try TrainerEnvironment.read(["BATON_SEED": "", "RANK": "", "BATON_RESUME_FROM": ""]).worldSize == 1)
  }

  @Test(arguments: [("-42", UInt64.max - 41), ("7", 7), ("18446744073709551615", .max)])
  func everySeedOfAJobFileIsTaken(text: String, seed: UInt64) throws {
    #expect(try TrainerEnvironment.read(["BATON_SEED": text]).seed == seed)
  }

  @Test(arguments: [
    ["RANK": "2", "WORLD_SIZE": "2"], ["WORLD_SIZE": "0"], ["MASTER_PORT": "70000"], ["BATON_SEED": "dice"],
    ["RANK": "one"],
  ])
  func badVariablesAreRefused(variables: [String: String]) {
    #expect {
      _ = try TrainerEnvironment.read(variables)
    } throws: {
      ($0 as? TrainerError)?.code == .usage
    }
  }

  @Test(arguments: [2.302585, 0.1, 1.0 / 3, Double.leastNormalMagnitude, 1.7976931348623157e308, 0, Double(Float(0.1))])
  func metricsReadBackAsTheSameNumber(value: Double) throws {
    try Scratch.with { folder in
      let log = try MetricsLog(path: folder + "/m.jsonl") { 1_700_000_000.25 }
      try log.append("loss", value, step: 3, epoch: 1)
      try log.append("loss", value, step: 4, epoch: 1)
      try log.synchronize()
      let lines = try Data(contentsOf: URL(fileURLWithPath: folder + "/m.jsonl")).split(separator: UInt8(ascii: "\n"))
      #expect(lines.count == 2)
      let read = try JSONDecoder().decode(World.Value.self, from: Data(try #require(lines.first)))
      #expect(read == World.Value(step: 3, metric: "loss", value: value, epoch: 1))
    }
  }

  @Test func theLearningRateDecaysByTheEpoch() {
    let settings = Hyperparameters(
      batch: 1, learningRate: 1, learningRateDecay: 0.5, momentum: 0, weightDecay: 0, shift: 0)
    #expect((0..<3).map { settings.learningRate(epoch: $0) } == [1, 0.5, 0.25])
  }
}
