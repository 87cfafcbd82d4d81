/// What the command line decides.
struct Settings: Equatable, Sendable {
  /// The folder with the CSV files; nil takes the environment's.
  var dataFolder: String?
  var epochs = 15
  var hyperparameters = Hyperparameters(
    batch: 64, learningRate: 0.01, learningRateDecay: 0.9, momentum: 0.9, weightDecay: 0.0001, shift: 2)
  var firstChannels = 48
  var secondChannels = 128
  var hidden = 128
  /// Nil takes the environment's.
  var seed: UInt64?
  /// Stop after this step, counted from the start of the run; nil for all epochs.
  var stepsMax: Int?
  /// Save every so many steps of one's own accord; 0 only when asked.
  var checkpointEverySteps = 0
  var allowWorldSizeChange = false
  /// How long a peer may be missing or silent.
  var peerTimeoutSeconds = 60

  var mode = Mode.synchronous
  /// What the flags of Downpour say; counts in that mode only.
  private var downpour = DownpourParameters()

  /// How the ranks train together.
  enum Mode: String, Equatable, Sendable {
    /// Every step is one of all ranks.
    case synchronous
    /// Each rank trains on its own, through shared parameters.
    case downpour
  }

  /// What a command line asks for.
  enum Request: Equatable, Sendable {
    case help
    case train(Settings)
  }

  /// Reads the words after the program's name; both `--flag value` and `--flag=value` are fine.
  ///
  /// - Throws: `.usage` naming the flag.
  static func parse(_ words: [String]) throws(TrainerError) -> Request {
    var settings = Settings()
    var rest = words[...]
    var given: Set<String> = []
    while let word = rest.popFirst() {
      if word == "--help" || word == "-h" { return .help }
      let halves = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let flag = halves[0]
      if flag == "--allow-world-size-change" {
        guard halves.count == 1 else { throw usage("\(flag) takes no value") }
        settings.allowWorldSizeChange = true
        given.insert(flag)
        continue
      }
      guard Self.flagsWithValue.contains(flag) else { throw usage("there is no flag \(word)") }
      guard let value = halves.count == 2 ? halves[1] : rest.popFirst(), !value.isEmpty else {
        throw usage("\(flag) needs a value")
      }
      try settings.set(flag, value)
      given.insert(flag)
    }
    try settings.check(given)
    return .train(settings)
  }

  private static let flagsWithValue: Set<String> = [
    "--data", "--epochs", "--batch", "--learning-rate", "--learning-rate-decay", "--momentum", "--weight-decay",
    "--shift", "--channels", "--hidden", "--seed", "--steps-max", "--checkpoint-every-steps", "--peer-timeout",
    "--mode", "--fetch-every", "--push-every", "--warm-start-steps",
  ]

  private mutating func set(_ flag: String, _ value: String) throws(TrainerError) {
    switch flag {
    case "--data": dataFolder = value
    case "--epochs": epochs = try Self.whole(flag, value, 1...100_000)
    case "--batch": hyperparameters.batch = try Self.whole(flag, value, 1...65_536)
    case "--learning-rate": hyperparameters.learningRate = try Self.number(flag, value, 0...100)
    case "--learning-rate-decay": hyperparameters.learningRateDecay = try Self.number(flag, value, 0...1)
    case "--momentum": hyperparameters.momentum = try Self.number(flag, value, 0...0.9999)
    case "--weight-decay": hyperparameters.weightDecay = try Self.number(flag, value, 0...1)
    case "--shift": hyperparameters.shift = try Self.whole(flag, value, 0...1000)
    case "--channels":
      let parts = value.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2 else { throw Self.usage("\(flag) takes two numbers, such as 48,128; got \(value)") }
      firstChannels = try Self.whole(flag, parts[0], 1...512)
      secondChannels = try Self.whole(flag, parts[1], 1...512)
    case "--hidden": hidden = try Self.whole(flag, value, 1...8192)
    case "--seed":
      guard let seed = UInt64(value) else { throw Self.usage("\(flag) takes a whole number of 64 bits; got \(value)") }
      self.seed = seed
    case "--mode":
      guard let mode = Mode(rawValue: value) else {
        throw Self.usage("\(flag) is synchronous or downpour; got \(value)")
      }
      self.mode = mode
    case "--fetch-every": downpour.fetchEvery = try Self.whole(flag, value, 1...1_000_000)
    case "--push-every": downpour.pushEvery = try Self.whole(flag, value, 1...1_000_000)
    case "--warm-start-steps": downpour.warmStartSteps = try Self.whole(flag, value, 0...1_000_000_000)
    case "--steps-max": stepsMax = try Self.whole(flag, value, 1...1_000_000_000)
    case "--checkpoint-every-steps": checkpointEverySteps = try Self.whole(flag, value, 0...1_000_000_000)
    default: peerTimeoutSeconds = try Self.whole(flag, value, 1...3600)
    }
  }

  /// Refuses flags that mean nothing in the chosen mode, and settles what the mode is part of.
  private mutating func check(_ given: Set<String>) throws(TrainerError) {
    let others: [String]
    switch mode {
    case .synchronous: others = ["--fetch-every", "--push-every", "--warm-start-steps"]
    case .downpour: others = ["--learning-rate-decay", "--momentum", "--weight-decay", "--allow-world-size-change"]
    }
    if let flag = others.first(where: given.contains) {
      throw Self.usage("\(flag) means nothing with --mode \(mode.rawValue)")
    }
    hyperparameters.downpour = mode == .downpour ? downpour : nil
  }

  private static func whole(
    _ flag: String, _ value: String, _ range: ClosedRange<Int>
  ) throws(TrainerError) -> Int {
    guard let number = Int(value), range.contains(number) else {
      throw usage("\(flag) takes a whole number from \(range.lowerBound) to \(range.upperBound); got \(value)")
    }
    return number
  }

  private static func number(
    _ flag: String, _ value: String, _ range: ClosedRange<Double>
  ) throws(TrainerError) -> Double {
    guard let number = Double(value), range.contains(number) else {
      throw usage("\(flag) takes a number from \(range.lowerBound) to \(range.upperBound); got \(value)")
    }
    return number
  }

  private static func usage(_ message: String) -> TrainerError {
    TrainerError(.usage, message, advice: "baton-train --help lists the flags.")
  }

  /// What `--help` prints.
  static let help = """
    baton-train - train a small convolutional network on digits, the same bits every time

    USAGE
      baton-train [--data DIR] [flags]

    DATA
      --data DIR                    folder of *.csv files: pixels 0..255, then the label, no header
                                    (default: $BATON_DATA_DIR). Every fifth image is held out for the test.

    TRAINING
      --epochs N                    passes over the training images              (15)
      --batch N                     images of a step over all ranks              (64)
      --learning-rate X             step size                                    (0.01)
      --learning-rate-decay X       what it is multiplied with after an epoch    (0.9)
      --momentum X                  share of the last step that is kept          (0.9)
      --weight-decay X              pull of the weights towards zero             (0.0001)
      --shift N                     most pixels a training image is moved about  (2)
      --channels A,B                width of the two convolutions                (48,128)
      --hidden N                    width of the dense layer                     (128)
      --seed N                      of weights and order                         ($BATON_SEED, or 0)
      --steps-max N                 stop after step N of the run (downpour: of each rank)

    TOGETHER
      --mode synchronous            every step is one of all ranks; the same bits every time (the default)
      --mode downpour               Downpour SGD: each rank trains a replica on its own share of the images,
                                    --batch images a step, and keeps a part of the parameters, which Adagrad
                                    moves by --learning-rate. Nobody waits for anybody, so that with several
                                    ranks no two runs are equal. A step of the run is one of any rank.
      --fetch-every N               a replica takes the parameters every N steps  (1)
      --push-every N                and sends its gradients every N steps         (1)
      --warm-start-steps N          rank 0 trains alone for its first N steps     (0)

    SAVING
      --checkpoint-every-steps N    save by itself as well; 0 saves only when asked and at the end (0)
      --allow-world-size-change     resume on another number of ranks; the last bits will then differ

    RANKS
      --peer-timeout SECONDS        how long a rank may be missing or silent     (60)

    ENVIRONMENT
      RANK WORLD_SIZE MASTER_ADDR MASTER_PORT   the ranks; none of them means one rank and no network
      BATON_RUN_ID BATON_ATTEMPT                a rank of another attempt is refused
      BATON_CHECKPOINT_DIR                      where step-N/ goes; without it nothing is saved
      BATON_RESUME_FROM                         a step-N folder to go on from; empty starts anew
      BATON_METRICS                             file to append JSON lines to
      BATON_DATA_DIR BATON_SEED                 defaults of --data and --seed

    SIGNALS
      SIGUSR1 saves after the step and goes on; SIGTERM saves after the step and leaves. One rank is enough.
      With downpour all ranks rest meanwhile, so that a checkpoint holds every gradient that was computed.

    EXIT STATUS
      0 done; 85 saved, continue me; 75 a peer was lost, try elsewhere; 64 bad flag; 65 damaged data or
      checkpoint; 66 nothing to read; 74 cannot write; 76 refused by rank 0; 78 checkpoint of another
      configuration; 1 the loss or a weight is no finite number any more; 143 left by SIGTERM with nowhere
      to save

    EXAMPLES
      baton-train --data mnist
      RANK=0 WORLD_SIZE=2 MASTER_ADDR=10.0.0.1 MASTER_PORT=29500 baton-train --data mnist --epochs 20
      RANK=0 WORLD_SIZE=2 MASTER_ADDR=10.0.0.1 MASTER_PORT=29500 baton-train --data mnist --mode downpour
      BATON_CHECKPOINT_DIR=ckpt BATON_RESUME_FROM=ckpt/step-120 baton-train --data mnist

    """
}
