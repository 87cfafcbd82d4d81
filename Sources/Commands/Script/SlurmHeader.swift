import Domain

/// Reads `#SBATCH` lines, as `sbatch` does.
struct SlurmHeader {
  private static let flags: Set<String> = [
    "--requeue", "--no-requeue", "--exclusive", "--overcommit", "-O", "-s", "--oversubscribe", "-H", "--hold", "-W",
    "--wait", "-Q", "--quiet", "-v", "--verbose", "--parsable", "--test-only", "-k", "--no-kill", "--contiguous",
  ]

  /// What is left out, by its long name, and why.
  private static let leftOut: [(names: [String], why: String)] = [
    (
      [
        "--mem", "--mem-per-cpu", "--mem-per-gpu", "-c", "--cpus-per-task", "--cpus-per-gpu", "--exclusive", "-O",
        "--overcommit", "-s", "--oversubscribe", "-B", "--ntasks-per-core", "--ntasks-per-socket", "--hint", "--tmp",
      ],
      "nodes are taken as they are, with all their processors and memory"
    ),
    (["-o", "--output", "-e", "--error", "--open-mode"], "`baton logs JOB` shows what every rank said"),
    (["-p", "--partition", "-C", "--constraint", "--gpu-bind"], "resources.node_type chooses among nodes"),
    (["-A", "--account", "--wckey", "--uid", "--gid"], "the project is that of your token"),
    (["-q", "--qos", "--nice", "--priority"], "priority (0 to 100) orders the queue"),
    (["-w", "--nodelist", "-x", "--exclude", "-F", "--nodefile"], "nodes come from leases: lease.use names one"),
    (["--mail-type", "--mail-user"], "no mail is sent: `baton submit --wait`, or `baton events`"),
    (["-D", "--chdir"], "every attempt begins in an empty folder of its node"),
    (["--requeue"], "a job goes on in the next lease anyway"),
  ]

  /// What would be wrong to leave out, and what to do.
  private static let impossible: [(names: [String], why: String)] = [
    (
      ["-d", "--dependency"],
      "jobs do not wait for each other: submit it once `baton submit --wait` of the other is done"
    ),
    (["-b", "--begin", "--deadline"], "a job begins when a lease has room: lease.use names one that begins later"),
    (["-M", "--clusters", "--het-group"], "a job runs on one site"),
    (["-H", "--hold"], "submit it, and `baton hold JOB`"),
  ]

  private let script: BatchScript

  /// The headers of `script`.
  init(_ script: BatchScript) { self.script = script }

  /// Puts what they say into `job`.
  func read(into job: inout ScriptJob) {
    var tasks: (count: Int, option: BatchScript.Option)?
    var gpus: (count: Int, option: BatchScript.Option)?
    var gpusPerTask: (count: Int, option: BatchScript.Option)?
    for option in script.options(.slurm, flags: Self.flags) {
      switch option.name {
      case "-N", "--nodes": readNodes(option, &job)
      case "-n", "--ntasks": tasks = count(option, &job).map { ($0, option) }
      case "--ntasks-per-node": job.processesPerNode = count(option, &job)
      case "-G", "--gpus": gpus = gpuCount(option, option.value, &job).map { ($0, option) }
      case "--gpus-per-node": job.gpusPerNode = gpuCount(option, option.value, &job) ?? job.gpusPerNode
      case "--gpus-per-task": gpusPerTask = gpuCount(option, option.value, &job).map { ($0, option) }
      case "--gres": readGenericResources(option, &job)
      case "-t", "--time": readLimit(option, \.limit, &job)
      case "--time-min": readLimit(option, \.minimum, &job)
      case "-J", "--job-name": job.name = option.value ?? job.name
      case "--comment": job.description = option.value
      case "--no-requeue": job.survives = false
      case "--signal": readSignal(option, &job)
      case "--export": readExport(option, &job)
      case "--reservation": job.lease = option.value
      case "-a", "--array": readArray(option, &job)
      default: readOther(option, &job)
      }
    }
    if let (count, option) = tasks { share(count, option, "tasks", \.processesPerNode, &job) }
    if let (count, option) = gpus { share(count, option, "GPUs", \.gpusPerNode, &job) }
    if let (count, _) = gpusPerTask {
      job.gpusPerNode = job.gpusPerNode ?? count * (job.processesPerNode ?? 1)
      job.processesPerNode = job.processesPerNode ?? 1
      job.ownGPUs = true
    }
  }

  private func readOther(_ option: BatchScript.Option, _ job: inout ScriptJob) {
    if let found = Self.impossible.first(where: { $0.names.contains(option.name) }) {
      job.refuse(option, found.why)
    } else if let found = Self.leftOut.first(where: { $0.names.contains(option.name) }) {
      job.ignore(option, found.why)
    } else {
      job.ignore(option, "means nothing here")
    }
  }

  /// What is told for all nodes, for each.
  private func share(
    _ count: Int, _ option: BatchScript.Option, _ what: String, _ key: WritableKeyPath<ScriptJob, Int?>,
    _ job: inout ScriptJob
  ) {
    let nodes = job.nodes ?? 1
    // Slurm, too, takes what is said for each node for the more exact one.
    if job[keyPath: key] != nil {
      job.ignore(option, "what is said for each node counts")
    } else if count % nodes == 0 {
      job[keyPath: key] = count / nodes
    } else {
      job.refuse(option, "\(count) \(what) are not the same number on each of \(nodes) nodes")
    }
  }

  private func count(_ option: BatchScript.Option, _ job: inout ScriptJob) -> Int? {
    if let number = option.value.flatMap({ Int($0) }), number > 0 { return number }
    job.refuse(option, "expected a number")
    return nil
  }

  private func readNodes(_ option: BatchScript.Option, _ job: inout ScriptJob) {
    let ends = (option.value ?? "").split(separator: "-").map { Int($0) }
    guard let first = ends.first, let fewest = first, fewest > 0 else { return job.refuse(option, "expected a number") }
    job.nodes = fewest
    if ends.count > 1 { job.ignore(option, "the number of nodes is fixed: it gets \(fewest)") }
  }

  /// `4`, `a100:4`, or a kind alone, which is one.
  private func gpuCount(_ option: BatchScript.Option, _ value: String?, _ job: inout ScriptJob) -> Int? {
    let parts = (value ?? "").split(separator: ":").map(String.init)
    if parts.count == 1, let number = Int(parts[0]) { return number }
    guard let kind = parts.first, parts.count <= 2, let number = parts.count == 2 ? Int(parts[1]) : 1 else {
      job.refuse(option, "expected a number of GPUs, as in 4 or a100:4")
      return nil
    }
    job.ignore(option, "the kind \(kind) is not looked at: resources.node_type chooses among nodes")
    return number
  }

  private func readGenericResources(_ option: BatchScript.Option, _ job: inout ScriptJob) {
    for one in (option.value ?? "").split(separator: ",").map(String.init) {
      if one == "gpu" {
        job.gpusPerNode = 1
      } else if one.hasPrefix("gpu:") {
        job.gpusPerNode = gpuCount(option, String(one.dropFirst(4)), &job) ?? job.gpusPerNode
      } else {
        job.ignore(option, "\(one) is nothing that nodes are known to have")
      }
    }
  }

  private func readLimit(
    _ option: BatchScript.Option, _ key: WritableKeyPath<ScriptJob, TimeSpan?>, _ job: inout ScriptJob
  ) {
    let value = option.value ?? ""
    if ["0", "UNLIMITED", "INFINITE"].contains(value.uppercased()) { return }
    guard let read = Self.time(value) else { return job.refuse(option, "expected a time, as in 2:00:00") }
    job[keyPath: key] = read
  }

  /// `M`, `M:S`, `H:M:S`, `D-H`, `D-H:M`, `D-H:M:S`.
  static func time(_ text: String) -> TimeSpan? {
    let halves = text.split(separator: "-", omittingEmptySubsequences: false)
    guard let last = halves.last, halves.count <= 2 else { return nil }
    let fields = last.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
    let numbers = fields.compactMap(\.self)
    let isRight = numbers.count == fields.count && (1...3).contains(numbers.count)
    guard isRight, numbers.allSatisfy({ (0...100_000).contains($0) }) else { return nil }
    if halves.count == 2 {
      guard let days = Int(halves[0]), (0...10_000).contains(days) else { return nil }
      let units = [3600, 60, 1]
      return .seconds(days * 86_400 + zip(numbers, units).reduce(0) { $0 + $1.0 * $1.1 })
    }
    let units = numbers.count == 3 ? [3600, 60, 1] : [60, 1]
    return .seconds(zip(numbers, units).reduce(0) { $0 + $1.0 * $1.1 })
  }

  /// `[B:]USR1[@60]`: what the program saves at, and how long that takes.
  private func readSignal(_ option: BatchScript.Option, _ job: inout ScriptJob) {
    var text = (option.value ?? "").uppercased()
    if let colon = text.firstIndex(of: ":") { text = String(text[text.index(after: colon)...]) }
    let parts = text.split(separator: "@").map(String.init)
    let name = parts.first.map { $0.hasPrefix("SIG") ? String($0.dropFirst(3)) : $0 } ?? ""
    job.grace = parts.count > 1 ? Int(parts[1]).map { .seconds(max(1, $0)) } : nil
    job.signal = SignalName.saving(name)
    job.ignore(
      option,
      "before its lease ends a job gets SIGTERM, as early as its saves need, and then has checkpoint.grace to leave"
        + (job.signal == nil ? "" : "; SIG\(name) asks it to save and go on (`baton checkpoint JOB`, checkpoint.every)")
    )
  }

  private func readArray(_ option: BatchScript.Option, _ job: inout ScriptJob) {
    do {
      let array = try ScriptArray(slurm: option.value ?? "")
      job.array = array
      job.given = [
        "SLURM_ARRAY_TASK_ID": "${{ array.index }}", "SLURM_ARRAY_TASK_COUNT": "\(array.indices.count)",
        "SLURM_ARRAY_TASK_MIN": "\(array.indices.first ?? 0)", "SLURM_ARRAY_TASK_MAX": "\(array.indices.last ?? 0)",
        "SLURM_ARRAY_TASK_STEP": "\(array.step)",
      ]
    } catch {
      job.refuse(option, error.message)
    }
  }

  private func readExport(_ option: BatchScript.Option, _ job: inout ScriptJob) {
    for one in (option.value ?? "").split(separator: ",").map(String.init) {
      if let sign = one.firstIndex(of: "=") {
        job.environment[String(one[..<sign])] = String(one[one.index(after: sign)...])
      } else if one.uppercased() != "NONE" {
        job.ignore(option, "\(one): nothing of your shell's environment goes with a job: write NAME=value")
      }
    }
  }
}

/// Signals by name or number.
enum SignalName {
  /// The one that asks a program to save; nil for all others.
  static func saving(_ name: String) -> SaveSignal? {
    switch name {
    case "USR1", "10": .usr1
    case "USR2", "12": .usr2
    case "HUP", "1": .hup
    default: nil
    }
  }
}
