public import Domain
internal import Yams

/// Reads a job file: what it asks for, checked, with every other choice at its default.
///
/// `fileName` only stands in messages. Throws everything that is wrong at once, each with its line and column: unknown
/// and repeated keys, wrong types, values out of range. Where the text is no YAML at all, or has a key twice, that is
/// the only thing it tells. Reads nothing but `text`; whether data sets, leases and node types exist is not its matter. A file
/// with an `array` or a `matrix` makes jobs of its own (`parseJobFileMembers`) and is refused here.
public func parseJobFile(_ text: String, fileName: String) throws(JobFileError) -> JobSpec {
  let log = IssueLog()
  let spec = YAMLTree.read(text, log).flatMap { readJobSpec($0, log) }
  guard let spec, log.issues.isEmpty else { throw JobFileError(fileName: fileName, issues: log.sorted) }
  return spec
}

/// The spec of the tree `root`; nil only where something is in the log.
func readJobSpec(_ root: Node, _ log: IssueLog) -> JobSpec? {
  guard let top = Section(root, .top, log) else { return nil }
  if let node = ["array", "matrix", "at_most"].compactMap({ top.node($0) }).first {
    log.add("a file with an array or a matrix makes a group of jobs, and one job is wanted here", at: node.mark)
  }
  return JobFileReader(top: top).spec()
}

/// Reads the sections of one file, each into its part of the spec.
private struct JobFileReader {
  let top: Section
  private var log: IssueLog { top.log }

  init(top: Section) { self.top = top }

  /// Nil only where something is in the log.
  func spec() -> JobSpec? {
    let name = required("name", "give the job a name") { top.word("name") }
    let command = required("run", "say what to run, as in run: python train.py") { readCommand(top, "run") }
    var spec = JobSpec(name: name ?? "", command: command ?? [])
    spec.priority = top.integer("priority", in: 0...100) ?? spec.priority
    spec.tags = tags()
    spec.description = top.text("description", longest: 4096)
    spec.environment = environment()
    spec.data = data()
    readResources(into: &spec.resources)
    readTime(into: &spec.time)
    readLease(into: &spec)
    spec.setup = SetupReader(top: top).spec()
    readLauncher(into: &spec)
    spec.container = ContainerReader(top: top).spec(kind: spec.launcher.kind)
    spec.resume = readResume()
    readBatch(into: &spec)
    readCheckpoint(into: &spec.checkpoint)
    readRetry(into: &spec.retry)
    if let seeds = top.section("seeds", .seeds) {
      spec.seed = seeds.integer("global", in: Int.min...Int.max).map(Int64.init) ?? spec.seed
    }
    return name == nil || command == nil ? nil : spec
  }

  private func required<Value>(_ key: String, _ advice: String, _ read: () -> Value?) -> Value? {
    if top.node(key) == nil { log.add("'\(key)' is missing: \(advice)", at: top.mark) }
    return read()
  }

  /// The words at `key` of `section`: a text, split as a shell does, or a list.
  private func readCommand(_ section: Section, _ key: String) -> [String]? {
    guard let node = section.node(key) else { return nil }
    let name = section.path(key)
    guard let words = readWords(node, name, commandWords) else { return nil }
    guard let program = words.first, !program.isEmpty else {
      log.add("\(name): names no program", at: node.mark)
      return nil
    }
    return words
  }

  private func readWords(
    _ node: Node, _ name: String, _ split: (String) throws(CommandSyntaxError) -> [String]
  ) -> [String]? {
    switch node {
    case .sequence(let items):
      let read = items.map { argument($0, name) }
      let words = read.compactMap(\.self)
      return words.count < read.count ? nil : words
    case .scalar(let scalar) where !scalar.isNull:
      guard let text = bounded(scalar, name) else { return nil }
      do { return try split(text) } catch {
        log.add(error.description(of: name), at: node.mark)
        return nil
      }
    default:
      log.add("\(name): expected words as in a shell, or a list of them, found \(node.kind)", at: node.mark)
      return nil
    }
  }

  /// One word of a list; unlike other texts it may be empty.
  private func argument(_ node: Node, _ name: String) -> String? {
    guard case .scalar(let scalar) = node, !scalar.isNull else {
      log.add("\(name): expected a word, found \(node.kind)", at: node.mark)
      return nil
    }
    return bounded(scalar, name)
  }

  private func readResume() -> ResumeCommand? {
    guard let section = top.section("resume", .resume) else { return nil }
    if section.node("args") != nil, let other = section.node("run") {
      log.add("resume: args are added to run, and resume.run takes its place: say one of the two", at: other.mark)
      return nil
    }
    if let node = section.node("args") {
      return readWords(node, "resume.args", argumentWords).map { .adding($0) }
    }
    return readCommand(section, "run").map { .replacing($0) }
  }

  /// The kernel takes no argument and no variable of more than 128 KiB.
  private func bounded(_ scalar: Node.Scalar, _ name: String) -> String? {
    guard scalar.string.utf8.count <= 100_000, !scalar.string.utf8.contains(0) else {
      log.add("\(name): has more than 100,000 bytes, or a NUL", at: scalar.mark)
      return nil
    }
    return scalar.string
  }

  private func tags() -> [String] {
    let nodes = top.list("tags") ?? []
    if nodes.count > 32 { log.add("tags: expected at most 32, found \(nodes.count)", at: top.node("tags")?.mark) }
    return nodes.prefix(32).compactMap { top.word(of: $0, "tags") }
  }

  private func environment() -> [String: String] {
    guard let node = top.node("env") else { return [:] }
    guard case .mapping(let mapping) = node else {
      log.add("env: expected keys with values, found \(node.kind)", at: node.mark)
      return [:]
    }
    var environment: [String: String] = [:]
    for (key, value) in mapping {
      guard case .scalar(let name) = key, isVariableName(name.string) else {
        log.add("env: expected the name of a variable (letters, digits and _), found \(key.kind)", at: key.mark)
        continue
      }
      if name.string.hasPrefix("BATON_") {
        log.add("env: '\(name.string)' is Baton's: names that begin with BATON_ are set by it", at: key.mark)
        continue
      }
      guard case .scalar(let scalar) = value, !scalar.isNull else {
        log.add("env.\(name.string): expected text, found \(value.kind); write \"\" for an empty one", at: value.mark)
        continue
      }
      environment[name.string] = bounded(scalar, "env.\(name.string)")
    }
    return environment
  }

  private func readResources(into resources: inout JobResources) {
    guard let section = top.section("resources", .resources) else { return }
    if let range = section.range("nodes", in: 1...4096) {
      resources.nodes = range.lowerBound
      resources.nodesMost = range.count > 1 ? range.upperBound : nil
    }
    resources.gpusPerNode = section.integer("gpus_per_node", in: 0...1024)
    resources.nodeType = section.word("node_type")
    resources.localDisk = section.size("local_disk") ?? resources.localDisk
  }

  private func readTime(into time: inout JobTime) {
    guard let section = top.section("time", .time) else { return }
    time.limit = section.duration("limit")
    time.minimum = section.duration("min")
    if let limit = time.limit, let minimum = time.minimum, minimum > limit {
      log.add("time.min (\(minimum)) is more than time.limit (\(limit))", at: section.node("min")?.mark)
    }
  }

  private func readLease(into spec: inout JobSpec) {
    guard let section = top.section("lease", .lease) else { return }
    spec.survivesLease = section.boolean("survive") ?? spec.survivesLease
    switch section.word("use") {
    case nil, "auto": spec.lease = .auto
    case "none": log.add("lease.use: 'none' is not supported yet: a job needs a lease", at: section.node("use")?.mark)
    case let name?: spec.lease = .named(name)
    }
  }

  private func readLauncher(into spec: inout JobSpec) {
    guard let section = top.section("launcher", .launcher) else { return }
    let reader = LauncherReader(
      section: section, gpusPerNode: spec.resources.gpusPerNode,
      isGPUCountTold: top.node("resources")?["gpus_per_node"] != nil, command: spec.command,
      commandMark: top.node("run")?.mark)
    spec.launcher = reader.spec()
  }

  private func readBatch(into spec: inout JobSpec) {
    let section = top.section("batch", .batch)
    // One that is no mapping is in the log already.
    guard section != nil || top.node("batch") == nil else { return }
    spec.batch = BatchReader(
      section: section, log: log, resources: spec.resources, nodesMark: resourceMark("nodes"),
      processesPerNode: spec.launcher.processesPerNode
    ).rule()
  }

  private func resourceMark(_ key: String) -> Mark? { top.node("resources")?[key]?.mark }

  private func readCheckpoint(into policy: inout CheckpointPolicy) {
    guard let section = top.section("checkpoint", .checkpoint) else { return }
    policy.every = section.duration("every")
    policy.grace = section.duration("grace") ?? policy.grace
    SavesReader(section: section).read(into: &policy)
    if let keep = section.section("keep", .keep) {
      readRetention(keep, into: &policy.keep)
    }
  }

  private func readRetention(_ section: Section, into policy: inout RetentionPolicy) {
    policy.last = section.integer("last", in: 1...1000) ?? policy.last
    policy.best = section.integer("best", in: 0...1000) ?? policy.best
    policy.metric = section.word("metric")
    policy.everySteps = section.integer("every_steps", in: 1...Int(Int32.max))
    policy.youngerThan = section.duration("younger_than")
    if let word = section.word("mode") {
      let known = RetentionPolicy.Mode.allCases.map(\.rawValue)
      if let mode = RetentionPolicy.Mode(rawValue: word) {
        policy.mode = mode
      } else {
        let hint = closest(to: word, among: known).map { ": did you mean '\($0)'?" } ?? ""
        log.add(
          "\(section.path("mode")): 'min' keeps the smallest values, 'max' the greatest; found '\(word)'\(hint)",
          at: section.node("mode")?.mark)
      }
    }
    if policy.best > 0, section.node("metric") == nil {
      log.add(
        "\(section.path("best")): say by which metric, as in metric: loss", at: section.node("best")?.mark)
    }
    if policy.best == 0, let mark = (section.node("metric") ?? section.node("mode"))?.mark {
      log.add("\(section.path("metric")) and mode mean nothing without best: say how many, as in best: 1", at: mark)
    }
  }

  private func readRetry(into retry: inout RetryPolicy) {
    guard let section = top.section("retry", .retry) else { return }
    retry.maxRestarts = section.integer("max_restarts", in: 0...1000) ?? retry.maxRestarts
    retry.onExitCodes = (section.list("on_exit_codes") ?? [])
      .compactMap { section.integer(of: $0, "retry.on_exit_codes", in: 1...255) }
  }
}

extension JobFileReader {
  private func data() -> [DataRequest] {
    var requests: [DataRequest] = []
    var variables: [String: String] = [:]
    for node in top.list("data") ?? [] {
      guard let request = request(node) else { continue }
      let variable = String(request.name.uppercased().map { $0.isLetter || $0.isNumber ? $0 : "_" })
      if let other = variables.updateValue(request.name, forKey: variable) {
        log.add(
          "data: '\(other)' and '\(request.name)' would both be BATON_DATA_\(variable): name each once", at: node.mark)
      }
      // With one data set BATON_DATA_DIR is its folder anyway.
      if variables.count > 1, let name = variables["DIR"] {
        log.add(
          "data: '\(name)' would be BATON_DATA_DIR, the folder that holds all of them: give it another name",
          at: node.mark)
        variables["DIR"] = nil
      }
      requests.append(request)
    }
    return requests
  }

  /// `NAME`, `NAME@3`, or a mapping of both.
  private func request(_ node: Node) -> DataRequest? {
    if case .mapping = node {
      guard let section = Section(node, .data, log) else { return nil }
      guard let name = section.word("name") else {
        if section.node("name") == nil { log.add("data: 'name' is missing", at: node.mark) }
        return nil
      }
      return checked(name, section.integer("version", in: 1...Int(Int32.max)), mode(section), node)
    }
    guard let text = top.word(of: node, "data") else { return nil }
    let parts = text.split(separator: "@", omittingEmptySubsequences: false)
    if parts.count == 1 { return checked(text, nil, .copy, node) }
    guard parts.count == 2, let version = Int(parts[1]), (1...Int(Int32.max)).contains(version) else {
      log.add("data: expected NAME or NAME@VERSION as in mnist@3, found '\(text)'", at: node.mark)
      return nil
    }
    return checked(String(parts[0]), version, .copy, node)
  }

  private func mode(_ section: Section) -> StagingMode {
    guard let word = section.word("mode") else { return .copy }
    if let mode = StagingMode(rawValue: word) { return mode }
    let known = StagingMode.allCases.map(\.rawValue).joined(separator: ", ")
    if let node = section.node("mode") { log.add("data: 'mode' is one of \(known), found '\(word)'", at: node.mark) }
    return .copy
  }

  private func checked(_ name: String, _ version: Int?, _ mode: StagingMode, _ node: Node) -> DataRequest? {
    let isName = name.utf8.allSatisfy { isWordByte($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
    guard let first = name.utf8.first, isName, isWordByte(first) else {
      log.add(
        "data: '\(name)' is no name of a data set: letters, digits, '_', '.' and '-', beginning with none of the last two",
        at: node.mark)
      return nil
    }
    return DataRequest(name: name, version: version, mode: mode)
  }
}
