import Glibc
import LinearAlgebra

/// The whole of `baton-train`: reads its words and variables, finds its peers, trains.
public enum TrainerProgram {
  /// Runs one rank to its end and returns the exit status (see `--help`).
  ///
  /// Listens to SIGUSR1 and SIGTERM from the first line on, for the rest of the process.
  ///
  /// - Parameters:
  ///   - arguments: the words after the program's name.
  ///   - environment: the variables.
  public static func run(arguments: [String], environment: [String: String]) -> Int32 {
    SignalInbox.listen()
    do throws(TrainerError) {
      guard case .train(let settings) = try Settings.parse(arguments) else {
        say(Settings.help)
        return 0
      }
      let surroundings = try TrainerEnvironment.read(environment)
      try train(settings, surroundings)
      return 0
    } catch {
      let rank = environment["RANK"].map { "rank \($0): " } ?? ""
      let isOrderly = error.code == .left || error.code == .leftUnsaved
      say("baton-train: \(rank)\(error)", to: isOrderly ? STDOUT_FILENO : STDERR_FILENO)
      return error.code.rawValue
    }
  }

  private static func train(_ settings: Settings, _ environment: TrainerEnvironment) throws(TrainerError) {
    let (rank, worldSize) = (environment.rank, environment.worldSize)
    let tell: @Sendable (String) -> Void = { say("baton-train: rank \(rank): \($0)") }
    BLAS.useOneThread()
    say(
      "baton-train: rank \(rank) of \(worldSize), process \(getpid()), attempt "
        + "\(environment.attempt.isEmpty ? "-" : environment.attempt), OpenBLAS kernel \(BLAS.kernelName)")

    let data = settings.dataFolder ?? environment.dataFolder
    guard !data.isEmpty else {
      throw TrainerError(.noInput, "no data", advice: "Name the folder with --data DIR or BATON_DATA_DIR.")
    }
    let dataset = try Dataset.load(folder: data)
    let start = try start(settings, environment, dataset, tell)
    let rendezvous = Rendezvous(
      identity: RankIdentity(
        run: environment.runID, attempt: environment.attempt, rank: rank, worldSize: worldSize,
        fingerprint: try fingerprint(start.state, settings)),
      master: environment.master,
      patience: Patience(seconds: settings.peerTimeoutSeconds) { SignalInbox.leaving },
      session: String(UInt64.random(in: 0...UInt64.max), radix: 16), log: tell)
    let begin = {
      guard rank == 0 else { return }
      tell(
        "\(dataset.training.count) images to train on, \(dataset.heldOut.count) held out; "
          + (start.checkpoint == nil
            ? "starting from seed \(start.state.seed)" : "going on after step \(start.state.step)"))
    }
    let folder = environment.checkpointFolder.isEmpty ? nil : CheckpointFolder(path: environment.checkpointFolder)
    let metrics = try MetricsLog(path: rank == 0 ? environment.metricsFile : "", now: secondsSince1970)
    let surroundings = Surroundings(now: secondsSince1970, requests: SignalInbox.take, say: tell)
    if settings.mode == .downpour {
      let trainer = try DownpourTrainer.join(
        rendezvous, settings: settings, dataset: dataset, state: start.state, checkpoint: start.checkpoint,
        folder: folder, metrics: metrics, surroundings: surroundings)
      begin()
      return try trainer.run()
    }
    let ring = try rendezvous.join()
    begin()
    try Trainer(
      settings: settings, dataset: dataset, state: start.state, checkpoint: start.checkpoint, ring: ring,
      folder: folder, metrics: metrics, surroundings: surroundings
    ).run()
  }

  /// The state to begin with: that of the checkpoint to resume from, or a fresh one.
  private static func start(
    _ settings: Settings, _ environment: TrainerEnvironment, _ dataset: Dataset, _ tell: (String) -> Void
  ) throws(TrainerError) -> (state: CheckpointState, checkpoint: Checkpoint?) {
    let seed = settings.seed ?? environment.seed
    var state = CheckpointState(
      step: 0, seed: seed, sampler: Sampler.State(seed: seed, epoch: 0, position: 0), worldSize: environment.worldSize,
      shape: NetworkShape(
        side: dataset.side, firstChannels: settings.firstChannels, secondChannels: settings.secondChannels,
        hidden: settings.hidden, classes: dataset.classes),
      hyperparameters: settings.hyperparameters, datasetDigest: dataset.digest, kernel: BLAS.kernelName)
    if settings.mode == .downpour { state.downpour = DownpourState(seed: seed, worldSize: environment.worldSize) }
    guard dataset.training.count >= environment.worldSize || settings.mode == .synchronous else {
      throw TrainerError(
        .usage, "\(environment.worldSize) Downpour workers have a share of only \(dataset.training.count) images")
    }
    guard !environment.resumeFrom.isEmpty else { return (state, nil) }
    let checkpoint = try CheckpointFolder.load(environment.resumeFrom)
    let saved = checkpoint.state
    try Resume.check(
      saved, against: state, imageCount: dataset.training.count, allowWorldSizeChange: settings.allowWorldSizeChange)
    if saved.kernel != state.kernel {
      tell("the checkpoint was computed on \(saved.kernel), this CPU uses \(state.kernel): the last bits may differ")
    }
    state.step = saved.step
    state.sampler = saved.sampler
    state.downpour = saved.downpour
    return (state, checkpoint)
  }

  /// What must be equal on every rank; another kernel on another node is allowed, the sums are shared.
  private static func fingerprint(
    _ state: CheckpointState, _ settings: Settings
  ) throws(TrainerError) -> String {
    var fingerprint = Fingerprint()
    var common = state
    common.kernel = ""
    fingerprint.add(try common.encoded())
    fingerprint.add("\(settings.epochs) \(settings.stepsMax ?? 0) \(settings.checkpointEverySteps)")
    return fingerprint.hex
  }

  private static func secondsSince1970() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
