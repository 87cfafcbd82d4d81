import Domain

/// Reads `#OAR` lines, as `oarsub -S` does.
struct OARHeader {
  private static let flags: Set<String> = ["-I", "--interactive", "-k", "--use-job-key", "-V", "--hold"]

  private let script: BatchScript

  /// The headers of `script`.
  init(_ script: BatchScript) { self.script = script }

  /// Puts what they say into `job`.
  func read(into job: inout ScriptJob) {
    for option in script.options(.oar, flags: Self.flags) {
      switch option.name {
      case "-n", "--name": job.name = option.value ?? job.name
      case "-l", "--resource": readResources(option, &job)
      case "-t", "--type": readType(option, &job)
      case "-p", "--property": job.ignore(option, "resources.node_type chooses among nodes")
      case "-q", "--queue": job.ignore(option, "priority (0 to 100) orders the queue")
      case "-O", "--stdout", "-E", "--stderr": job.ignore(option, "`baton logs JOB` shows what every rank said")
      case "-d", "--directory": job.ignore(option, "every attempt begins in an empty folder of its node")
      case "--project": job.ignore(option, "the project is that of your token")
      case "--notify": job.ignore(option, "no mail is sent: `baton submit --wait`, or `baton events`")
      case "--checkpoint": readGrace(option, &job)
      case "--signal": readSignal(option, &job)
      case "-r", "--reservation":
        job.refuse(
          option,
          "a job begins when a lease has room: make one with `baton lease create`, and name it in lease.use")
      case "-a", "--anterior":
        job.refuse(
          option, "jobs do not wait for each other: submit it once `baton submit --wait` of the other is done")
      case "--array": readArray(option, &job)
      case "--array-param-file":
        job.refuse(
          option,
          "the file of parameters is not read: write a job file with a matrix of them, or say --array and let the "
            + "script take line $OAR_ARRAY_INDEX of a file of its own")
      case "-I", "--interactive": job.refuse(option, "a job has nobody who types")
      case "--hold": job.refuse(option, "submit it, and `baton hold JOB`")
      default: job.ignore(option, "means nothing here")
      }
    }
  }

  /// `/nodes=2/gpu=2,walltime=1:00:00`, with properties in braces before.
  private func readResources(_ option: BatchScript.Option, _ job: inout ScriptJob) {
    for part in Self.split(option.value ?? "") {
      if part.hasPrefix("walltime=") {
        let text = String(part.dropFirst("walltime=".count))
        if let limit = Self.time(text) { job.limit = limit } else { job.refuse(option, "'\(text)' is no walltime") }
        continue
      }
      if part.contains("+") {
        job.refuse(option, "several groups of nodes are not supported: all nodes of a job are alike")
        continue
      }
      for level in Self.levels(part) { readLevel(level, option, &job) }
    }
  }

  private func readLevel(_ level: String, _ option: BatchScript.Option, _ job: inout ScriptJob) {
    if level.hasPrefix("{") { return job.ignore(option, "\(level): resources.node_type chooses among nodes") }
    let pair = level.split(separator: "=", maxSplits: 1).map(String.init)
    let number = pair.count == 2 ? Int(pair[1]) : nil
    switch pair.first {
    case "nodes", "host", "network_address":
      guard let number, number > 0 else { return job.refuse(option, "\(level): expected a number of nodes") }
      job.nodes = number
    case "gpu", "gpunum", "gpu_device":
      guard let number, number > 0 else { return job.refuse(option, "\(level): expected a number of GPUs") }
      job.gpusPerNode = number
    case "core", "cpu", "thread", "resource_id":
      job.ignore(option, "\(level): nodes are taken as they are, with all their processors and memory")
    default: job.ignore(option, "\(level): means nothing here")
    }
  }

  /// By commas that are in no braces.
  private static func split(_ text: String) -> [String] { pieces(text, at: ",") }

  private static func levels(_ text: String) -> [String] { pieces(text, at: "/").filter { !$0.isEmpty } }

  private static func pieces(_ text: String, at separator: Character) -> [String] {
    var found = [""]
    var depth = 0
    for character in text {
      if character == "{" { depth += 1 }
      if character == separator, depth == 0 { found.append("") } else { found[found.count - 1].append(character) }
      if character == "}" { depth -= 1 }
    }
    return found
  }

  /// `H`, `H:M`, `H:M:S`: a bare number is hours, unlike Slurm's.
  static func time(_ text: String) -> TimeSpan? {
    let fields = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
    let numbers = fields.compactMap(\.self)
    let isRight = numbers.count == fields.count && (1...3).contains(numbers.count)
    guard isRight, numbers.allSatisfy({ (0...100_000).contains($0) }) else { return nil }
    let seconds = zip(numbers, [3600, 60, 1]).reduce(0) { $0 + $1.0 * $1.1 }
    return seconds > 0 ? .seconds(seconds) : nil
  }

  private func readType(_ option: BatchScript.Option, _ job: inout ScriptJob) {
    switch option.value {
    case "besteffort":
      job.priority = 0
      job.ignore(option, "priority 0: it goes last, and nobody stops it for another job")
    case "idempotent": job.ignore(option, "a job goes on in the next lease anyway")
    default: job.ignore(option, "means nothing here")
    }
  }

  private func readArray(_ option: BatchScript.Option, _ job: inout ScriptJob) {
    do {
      job.array = try ScriptArray(oar: option.value ?? "")
      job.given = ["OAR_ARRAY_INDEX": "${{ array.index }}", "OAR_ARRAYINDEX": "${{ array.index }}"]
    } catch {
      job.refuse(option, error.message)
    }
  }

  private func readGrace(_ option: BatchScript.Option, _ job: inout ScriptJob) {
    guard let seconds = option.value.flatMap({ Int($0) }), seconds > 0 else {
      return job.refuse(option, "expected seconds")
    }
    job.grace = .seconds(seconds)
    job.ignore(
      option,
      "before its lease ends a job gets SIGTERM, as early as its saves need, and then has checkpoint.grace to leave")
  }

  private func readSignal(_ option: BatchScript.Option, _ job: inout ScriptJob) {
    let name = (option.value ?? "").uppercased()
    job.signal = SignalName.saving(name.hasPrefix("SIG") ? String(name.dropFirst(3)) : name)
    job.ignore(
      option,
      job.signal == nil
        ? "before its lease ends a job gets SIGTERM"
        : "asks it to save and go on (`baton checkpoint JOB`, checkpoint.every); before its lease ends it gets SIGTERM")
  }
}
