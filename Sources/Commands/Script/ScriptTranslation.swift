import Domain
import Foundation

/// A script with headers of another scheduler, as a job of Baton.
enum ScriptTranslation {
  /// Reads `script`, which people call `fileName`, with the headers of `dialect`, or without any.
  ///
  /// Never fails: what cannot be is in `refused`.
  static func job(_ script: BatchScript, _ dialect: BatchScript.Dialect?, fileName: String) -> ScriptJob {
    var job = ScriptJob(name: name(from: fileName))
    switch dialect {
    case .slurm: SlurmHeader(script).read(into: &job)
    case .oar: OARHeader(script).read(into: &job)
    case nil: break
    }
    if let dialect {
      for line in script.late(dialect) {
        let text = "\(dialect.mark) behind the first command means nothing there either"
        job.ignored.append(.init(line: line, text: text))
      }
    }
    lookAtBody(script, &job)
    return job
  }

  private static func name(from fileName: String) -> String {
    let last = fileName.split(separator: "/").last.map(String.init) ?? fileName
    let base = last.hasSuffix(".sh") ? String(last.dropLast(3)) : last
    return base.isEmpty ? "script" : String(base.prefix(128))
  }

  // MARK: What the script does

  /// Programs that another scheduler gives its scripts, and what to do without.
  private static let programs: [(name: String, isRefused: Bool, advice: String)] = [
    (
      "srun", true,
      "there is no Slurm on the nodes, and Baton starts the ranks itself: leave srun and its options away, and the script "
        + "runs as every rank (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT)"
    ),
    ("sbatch", true, "there is no Slurm on the nodes: `baton submit` from where you are"),
    ("scontrol", true, "there is no Slurm on the nodes: BATON_NODEFILE is a file with their addresses, one a line"),
    ("sbcast", true, "there is no Slurm on the nodes: register the files as a data set (`baton data add`)"),
    (
      "oarsh", true,
      "there is no OAR on the nodes, and Baton starts the ranks itself: leave it away, and the script runs as every rank"
    ),
    ("oarsub", true, "there is no OAR on the nodes: `baton submit` from where you are"),
    ("module", false, "only if the nodes' image has it"),
  ]

  /// Variables that other schedulers set, and what says the same here.
  private static let variables: [(name: String, here: String?)] = [
    ("SLURM_PROCID", "RANK"), ("SLURM_NTASKS", "WORLD_SIZE"), ("SLURM_NPROCS", "WORLD_SIZE"),
    ("SLURM_LOCALID", "LOCAL_RANK"), ("SLURM_NODEID", "BATON_NODE_RANK"), ("SLURM_NNODES", "BATON_NUM_NODES"),
    ("SLURM_JOB_NUM_NODES", "BATON_NUM_NODES"), ("SLURM_JOB_ID", "BATON_JOB_ID"), ("SLURM_JOBID", "BATON_JOB_ID"),
    ("SLURM_NTASKS_PER_NODE", "LOCAL_WORLD_SIZE"), ("SLURM_RESTART_COUNT", "BATON_ATTEMPT"),
    ("OAR_JOB_ID", "BATON_JOB_ID"), ("OAR_NODEFILE", "BATON_NODEFILE"), ("OAR_NODE_FILE", "BATON_NODEFILE"),
    ("OAR_FILE_NODES", "BATON_NODEFILE"), ("OAR_JOBID", "BATON_JOB_ID"),
  ]

  private static func lookAtBody(_ script: BatchScript, _ job: inout ScriptJob) {
    var told: Set<String> = []
    for (index, line) in script.lines.enumerated() {
      let code = line.drop { $0 == " " || $0 == "\t" }
      if code.isEmpty || code.hasPrefix("#") { continue }
      for program in programs where calls(program.name, in: code) {
        let remark = ScriptJob.Remark(line: index + 1, text: "\(program.name): \(program.advice)")
        if program.isRefused { job.refused.append(remark) } else { job.ignored.append(remark) }
      }
      for name in foreignVariables(in: line)
      where job.given[name] == nil && job.environment[name] == nil && told.insert(name).inserted {
        let here = variables.first { $0.name == name }?.here
        job.ignored.append(
          .init(
            line: index + 1,
            text: "$\(name) is not set here, and " + (here.map { "$\($0) says the same" } ?? "nothing says the same")))
      }
    }
    if (job.nodes ?? 1) * (job.processesPerNode ?? 1) > 1 {
      job.ignored.append(
        .init(
          line: 1,
          text: "the script runs as every rank, on every node; the other scheduler runs it once, on the first"))
    }
    job.ignored.append(
      .init(
        line: 1,
        text: "it begins in an empty folder of its node's disk, not where it was submitted: programs and data need "
          + "absolute paths, or data sets (`baton data add`)"))
  }

  /// Whether `code` runs the program `name`: as a word where a command may stand.
  private static func calls(_ name: String, in code: Substring) -> Bool {
    var isCommand = true
    for word in code.split(whereSeparator: { $0 == " " || $0 == "\t" }) {
      if isCommand, word == name { return true }
      let isAssignment = word.contains("=") && word.first?.isLetter == true
      let opens = ["exec", "time", "then", "do", "else", "if", "while", "!", "{", "(", "nohup", "env"]
      isCommand =
        word.hasSuffix(";") || ["|", "&&", "||", "&"].contains(word) || opens.contains(String(word))
        || isCommand && isAssignment
      if word.hasSuffix("$(\(name)") || word.hasSuffix("`\(name)") { return true }
    }
    return false
  }

  private static func foreignVariables(in line: String) -> [String] {
    var found: [String] = []
    var rest = Substring(line)
    while let dollar = rest.firstIndex(of: "$") {
      rest = rest[rest.index(after: dollar)...].drop { $0 == "{" }
      let name = rest.prefix { $0 == "_" || $0.isASCII && ($0.isLetter || $0.isNumber) }
      if name.hasPrefix("SLURM_") || name.hasPrefix("OAR_") { found.append(String(name)) }
    }
    return found
  }
}
