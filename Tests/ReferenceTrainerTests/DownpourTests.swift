import Testing

@testable import ReferenceTrainer

/// Downpour's parts as values: messages, shards, and who may go on when.
@Suite struct DownpourTests {
  private static let worker = DownpourState.Worker(steps: 3, sampler: .init(seed: 9, epoch: 1, position: 2))
  private static let messages: [DownpourMessage] = [
    .hello(session: "a", rank: 2), .fetch, .parameters([1, -2.5, .leastNonzeroMagnitude]), .parameters([]),
    .push([0, 3]), .settle, .settled, .pull, .contents(parameters: [1, 2], squares: [3, 4]),
    .report(.init(rank: 1, phase: .resting, state: worker, requests: 2)),
    .order(.init(command: .rest, step: 7, isQuiet: true)), .goodbye,
  ]

  @Test(arguments: [1, 2, 7, 4096])
  func aStreamCutAnywhereGivesTheSameMessages(piece: Int) throws {
    let stream = try Self.messages.flatMap { try $0.encoded() }
    var decoder = DownpourDecoder(longest: 1000)
    var received: [DownpourMessage] = []
    for start in stride(from: 0, to: stream.count, by: piece) {
      stream[start..<min(start + piece, stream.count)].withUnsafeBytes { decoder.feed($0) }
      while let message = try decoder.next() { received.append(message) }
    }
    #expect(received == Self.messages)
  }

  @Test func whatIsNoMessageIsRefused() throws {
    let streams: [[UInt8]] = [
      [0xFF, 0xFF, 0xFF, 0x7F, 3], [0, 0, 0, 0, 99], [1, 0, 0, 0, 2, 0], [3, 0, 0, 0, 4, 0, 0, 0],
      Array("GET / HTTP/1.1\r\n\r\n".utf8), [2, 0, 0, 0, 9, 0x7B, 0x7D],
    ]
    for bytes in streams {
      var decoder = DownpourDecoder(longest: 1000)
      bytes.withUnsafeBytes { decoder.feed($0) }
      #expect(throws: Socket.Failure.self, "\(bytes)") { try decoder.next() }
    }
    var decoder = DownpourDecoder(longest: 1000)
    #expect(try decoder.next() == nil)
  }

  @Test func aPushWithoutACopyIsTheSameMessage() throws {
    let values: [Float] = [1, 2, -3]
    let direct = values.withUnsafeBufferPointer { DownpourMessage.push($0) }
    #expect(try DownpourMessage.push(values).encoded() == direct)
  }

  @Test func adagradFollowsItsFormula() {
    var shard = ParameterShard(parameters: [1, 1, 1], squares: [0, 0, 9], learningRate: 0.5)
    let gradients: [Float] = [2, 0, 4]
    gradients.withUnsafeBufferPointer { shard.apply($0) }
    // The third moves by half of 4, over the root of 9 + 16.
    let third: Float = 1 - 2 / 5
    let moved: [Float] = [0.5, 1, third]
    #expect(shard.parameters == moved)
    let squares: [Float] = [4, 0, 25]
    #expect(shard.squares == squares)
  }

  @Test(arguments: 1...7)
  func shardsCoverAllParametersOnce(worldSize: Int) {
    for count in [1, 5, 7, 1000] {
      let all = (0..<worldSize).flatMap { Array(ParameterShard.range(of: $0, worldSize: worldSize, count: count)) }
      #expect(all == Array(0..<count))
    }
  }

  // MARK: - The coordinator

  /// A coordinator and what its workers have done.
  private struct Run {
    var coordinator: DownpourCoordinator
    var steps: [Int]

    init(_ worldSize: Int, warmStartSteps: Int = 0) {
      coordinator = DownpourCoordinator(DownpourState(seed: 1, worldSize: worldSize), warmStartSteps: warmStartSteps)
      steps = Array(repeating: 0, count: worldSize)
    }

    mutating func report(
      _ rank: Int, _ phase: DownpourCoordinator.Phase = .working, steps: Int = 0, _ requests: Requests = []
    ) -> DownpourCoordinator.Order {
      self.steps[rank] += steps
      return coordinator.hear(
        .init(
          rank: rank, phase: phase,
          state: .init(steps: self.steps[rank], sampler: .init(seed: 1, epoch: 0, position: self.steps[rank])),
          requests: requests.rawValue))
    }
  }

  @Test func workersGoOnWithoutEachOther() {
    var run = Run(3)
    #expect(run.report(0, steps: 5) == .init(command: .go, step: 5))
    #expect(run.report(2, steps: 1) == .init(command: .go, step: 6))
    #expect(run.report(0, steps: 1) == .init(command: .go, step: 7))
  }

  @Test func theWarmStartLetsWorkerZeroGoAlone() {
    var run = Run(2, warmStartSteps: 2)
    #expect(run.report(1).command == .wait)
    #expect(run.report(0, steps: 1).command == .go)
    #expect(run.report(1).command == .wait)
    #expect(run.report(0, steps: 1).command == .go)
    #expect(run.report(1).command == .go)
    var short = Run(2, warmStartSteps: 100)
    _ = short.report(0, .finished, steps: 3)
    #expect(short.report(1).command == .go)
  }

  @Test func aSaveWaitsUntilAllRestAndThenAllGoOn() {
    var run = Run(2)
    #expect(run.report(1, steps: 1, .save).command == .rest)
    #expect(run.report(0, steps: 1) == .init(command: .rest, step: 2))
    #expect(run.report(0, .resting) == .init(command: .rest, step: 2))
    // Worker 1 had begun a step when it was told; that step counts.
    #expect(run.report(1, .resting, steps: 1) == .init(command: .rest, step: 3, isQuiet: true))
    #expect(run.report(0, .resting).isQuiet && !run.coordinator.isEnding)
    run.coordinator.saved(true)
    #expect(!run.coordinator.isQuiet)
    #expect(run.report(0, .resting) == .init(command: .go, step: 3))
    #expect(run.report(0, steps: 1, .save).command == .rest)
    #expect(run.report(0, .resting).isQuiet, "worker 1 has not been released, and rests still")
    run.coordinator.saved(true)
    #expect(run.report(1, .resting).command == .go)
    #expect(run.report(0, .resting, .save) == .init(command: .rest, step: 4), "worker 1 works again")
  }

  @Test func aRequestToLeaveEndsAllOnceItIsSaved() {
    for isSaved in [true, false] {
      var run = Run(2)
      _ = run.report(0, .resting, .leave)
      #expect(run.report(1, .resting).isQuiet && run.coordinator.isEnding)
      run.coordinator.saved(isSaved)
      let ending: DownpourCoordinator.Order.Command = isSaved ? .leave : .failed
      for rank in 0..<2 { #expect(run.report(rank, .resting).command == ending) }
    }
  }

  @Test func aWorkerThatIsDoneWaitsForTheOthers() {
    var run = Run(2)
    #expect(run.report(0, .finished, steps: 4) == .init(command: .wait, step: 4))
    #expect(run.report(1, steps: 3, .save).command == .rest)
    #expect(run.report(1, .resting).isQuiet && !run.coordinator.isEnding)
    run.coordinator.saved(false)
    #expect(run.report(0, .finished).command == .wait)
    #expect(run.report(1, .resting).command == .go)
    #expect(run.report(1, .finished, steps: 1) == .init(command: .rest, step: 8, isQuiet: true))
    run.coordinator.saved(true)
    for rank in 0..<2 { #expect(run.report(rank, .finished).command == .done) }
  }

  // MARK: - Settings and resumption

  @Test func flagsOfTheOtherModeAreRefused() throws {
    let other = ["--learning-rate-decay", "--momentum", "--weight-decay"].map { ["--mode", "downpour", $0, "0.5"] }
    for words in other + [["--fetch-every", "2"], ["--mode", "downpour", "--allow-world-size-change"]] {
      #expect(throws: TrainerError.self, "\(words)") { try Settings.parse(words) }
    }
    guard case .train(let settings) = try Settings.parse(["--mode=downpour", "--push-every", "3"]) else {
      Issue.record("no settings")
      return
    }
    #expect(settings.hyperparameters.downpour == DownpourParameters(fetchEvery: 1, pushEvery: 3, warmStartSteps: 0))
    #expect(Settings().hyperparameters.downpour == nil)
  }

  @Test func anotherModeOrNumberOfWorkersCannotGoOn() {
    let shape = NetworkShape(side: 8, firstChannels: 2, secondChannels: 3, hidden: 5, classes: 3)
    var fresh = CheckpointState(
      step: 0, seed: 1, sampler: .init(seed: 1, epoch: 0, position: 0), worldSize: 2, shape: shape,
      hyperparameters: Settings().hyperparameters, datasetDigest: "0", kernel: "K")
    fresh.hyperparameters.downpour = DownpourParameters()
    fresh.downpour = DownpourState(seed: 1, worldSize: 2)
    let changes: [(String, (inout CheckpointState) -> Void)] = [
      ("hyper-parameters", { $0.hyperparameters.downpour = nil }), ("way of training", { $0.downpour = nil }),
      ("3 Downpour workers", { $0.downpour = DownpourState(seed: 1, worldSize: 3) }),
      ("cannot be", { $0.downpour?.workers[1].sampler.position = 25 }),
    ]
    for (words, change) in changes {
      var saved = fresh
      change(&saved)
      #expect {
        try Resume.check(saved, against: fresh, imageCount: 50, allowWorldSizeChange: true)
      } throws: {
        "\($0)".contains(words)
      }
    }
    #expect(throws: Never.self) {
      try Resume.check(fresh, against: fresh, imageCount: 50, allowWorldSizeChange: false)
    }
  }
}
