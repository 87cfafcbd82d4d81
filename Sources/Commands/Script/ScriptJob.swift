import Domain

/// What a script's headers ask for, as far as a job file can say it.
struct ScriptJob: Hashable {
  /// Something to say about a line of the script.
  struct Remark: Hashable {
    /// From 1.
    var line: Int
    /// In a sentence, with what to do.
    var text: String
  }

  var name: String
  var description: String?
  var nodes: Int?
  var gpusPerNode: Int?
  var processesPerNode: Int?
  /// Whether each rank sees a share of the GPUs only.
  var ownGPUs = false
  var limit: TimeSpan?
  var minimum: TimeSpan?
  var priority: Int?
  var survives: Bool?
  var lease: String?
  var signal: SaveSignal?
  var grace: TimeSpan?
  var environment: [String: String] = [:]
  /// Variables that the other scheduler sets, as the job file has them: words of its array are replaced in them.
  var given: [String: String] = [:]
  var array: ScriptArray?
  /// What was left out, or means something else here.
  var ignored: [Remark] = []
  /// Why it cannot be a job.
  var refused: [Remark] = []

  init(name: String) { self.name = name }

  mutating func ignore(_ option: BatchScript.Option, _ why: String) {
    ignored.append(Remark(line: option.line, text: "\(option.text): \(why)"))
  }

  mutating func refuse(_ option: BatchScript.Option, _ why: String) {
    refused.append(Remark(line: option.line, text: "\(option.text): \(why)"))
  }

  /// The job file that runs `script` as every rank.
  func file(running script: String) -> String {
    var lines = ["name: \(JobFileOverride.quoted(name))"]
    if let description { lines.append("description: \(JobFileOverride.quoted(description))") }
    if let priority { lines.append("priority: \(priority)") }
    if let array { lines.append("array: \(array.text)") }
    // The other schedulers give no GPU to whoever asks for none.
    lines.append("resources: {nodes: \(nodes ?? 1), gpus_per_node: \(gpusPerNode ?? 0)}")
    let time = [limit.map { "limit: \(Self.written($0))" }, minimum.map { "min: \(Self.written($0))" }]
      .compactMap(\.self)
    if !time.isEmpty { lines.append("time: {\(time.joined(separator: ", "))}") }
    let leases = [lease.map { "use: \(JobFileOverride.quoted($0))" }, survives.map { "survive: \($0)" }]
      .compactMap(\.self)
    if !leases.isEmpty { lines.append("lease: {\(leases.joined(separator: ", "))}") }
    if let processesPerNode {
      lines.append("launcher: {processes_per_node: \(processesPerNode)\(ownGPUs ? ", gpus: own" : "")}")
    }
    let saving = [signal.map { "signal: \($0.rawValue)" }, grace.map { "grace: \(Self.written($0))" }]
      .compactMap(\.self)
    if !saving.isEmpty { lines.append("checkpoint: {\(saving.joined(separator: ", "))}") }
    let variables = given.merging(environment) { $1 }
    if !variables.isEmpty {
      lines.append("env:")
      for (name, value) in variables.sorted(by: { $0.key < $1.key }) {
        lines.append("  \(name): \(JobFileOverride.quoted(value))")
      }
    }
    lines += ["# Variables are the script's own business: $$ is a dollar in a job file.", "run:", "  - bash", "  - -c"]
    lines.append("  - |")
    lines += script.replacing("$", with: "$$").split(separator: "\n", omittingEmptySubsequences: false)
      .map { $0.isEmpty ? "" : "    \($0)" }
    return lines.joined(separator: "\n") + "\n"
  }

  /// As a job file has it: `90m`, `1h30m5s`.
  static func written(_ span: TimeSpan) -> String {
    let seconds = span.microseconds / 1_000_000
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")].filter { $0.0 > 0 }
    return parts.isEmpty ? "1s" : parts.map { "\($0.0)\($0.1)" }.joined()
  }
}

extension BatchScript.Option {
  /// As a person would write it.
  var text: String {
    guard let value else { return name }
    return name.hasPrefix("--") ? "\(name)=\(value)" : "\(name) \(value)"
  }
}
