import Domain
import Glibc
import ObjectStorage
import Wire

/// The environment of a rank: the contract with a training program.
struct RankEnvironment {
  var order: AttemptOrder
  var folder: AttemptFolder
  /// The folder of each data set, by its name.
  var datasets: [(name: String, path: String)]
  /// The agent's own environment, of which little is passed on.
  var base: [String: String]
  /// The virtual environment that the job asked for, once it is there.
  var environment: String?

  /// The variables of a rank.
  func variables(of launch: RankLaunch) -> [String: String] {
    variables(launch.defaults, launch.variables)
      .merging(order.batch?.variables(rank: launch.rank, of: order.worldSize) ?? [:]) { $1 }
  }

  /// The variables of a process beside the ranks.
  func variables(of launch: HelperLaunch) -> [String: String] { variables(launch.defaults, launch.variables) }

  /// The variables of what comes before the ranks.
  func variables() -> [String: String] { variables([:], [:]) }

  /// `variables` for whoever is to find first what is in the virtual environment at `place`.
  static func inside(_ place: String, _ variables: [String: String]) -> [String: String] {
    variables.merging(["PATH": "\(place)/bin:\(variables["PATH"] ?? "")", "VIRTUAL_ENV": place]) { $1 }
  }

  /// What the launcher and the contract say stands above what the user says.
  private func variables(_ defaults: [String: String], _ launcher: [String: String]) -> [String: String] {
    var all: [String: String] = ["PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    for name in ["PATH", "HOME", "LANG", "USER"] { all[name] = base[name] ?? all[name] }
    all.merge(defaults) { $1 }
    all.merge(order.environment) { $1 }
    all.merge(contract) { $1 }
    all.merge(ProcessTable.marker(of: folder)) { $1 }
    all.merge(launcher) { $1 }
    return environment.map { Self.inside($0, all) } ?? all
  }

  private var contract: [String: String] {
    var all = [
      "BATON_JOB_ID": "\(order.job.rawValue)", "BATON_RUN_ID": "\(order.job.rawValue)",
      "BATON_ATTEMPT": "\(order.number)", "BATON_NODE_RANK": "\(order.nodeRank)",
      "BATON_NUM_NODES": "\(order.nodeAddresses.count)",
      "BATON_GPUS": order.gpus.map(String.init).joined(separator: ","), "BATON_NODEFILE": folder.nodeFile,
      "BATON_CHECKPOINT_DIR": folder.checkpoints, "BATON_ARTIFACTS_DIR": folder.artifacts,
      "BATON_METRICS": folder.metrics, "BATON_SEED": "\(order.seed)",
      "BATON_RESUME_FROM": order.resume.map { "\(folder.resume)/step-\($0.step)" } ?? "",
      "BATON_LEASE_END": "\(order.leaseEnd.microseconds / 1_000_000)",
      "BATON_DATA_DIR": datasets.count == 1 ? datasets[0].path : datasets.isEmpty ? "" : folder.data,
    ]
    for dataset in datasets { all["BATON_DATA_" + Self.variableName(dataset.name)] = dataset.path }
    return all
  }

  /// Upper case, with `_` for all but letters and digits.
  static func variableName(_ name: String) -> String {
    String(name.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
  }

  /// `$NAME` and `${NAME}` replaced, `$$` a dollar; a name that is not set is empty, a `$` before anything else stays.
  static func expand(_ text: String, with variables: [String: String]) -> String {
    func isNamePart(_ character: Character, first: Bool) -> Bool {
      character == "_" || (character.isASCII && (character.isLetter || (!first && character.isNumber)))
    }
    var result = ""
    var rest = Substring(text)
    while let dollar = rest.firstIndex(of: "$") {
      result += rest[..<dollar]
      rest = rest[rest.index(after: dollar)...]
      if rest.hasPrefix("$") {
        result += "$"
        rest = rest.dropFirst()
        continue
      }
      let braced = rest.hasPrefix("{")
      let body = braced ? rest.dropFirst() : rest
      var name = ""
      for character in body {
        guard isNamePart(character, first: name.isEmpty) else { break }
        name.append(character)
      }
      let after = body.dropFirst(name.count)
      if name.isEmpty || (braced && !after.hasPrefix("}")) {
        result += "$"
        continue
      }
      result += variables[name] ?? ""
      rest = braced ? after.dropFirst() : after
    }
    return result + rest
  }

  /// The file that `name` means, by the rank's PATH; a name with a slash is taken from `work`.
  static func findProgram(_ name: String, path: String, work: String) -> Result<String, LaunchFailure> {
    guard !name.isEmpty else { return .failure(LaunchFailure("the command is empty")) }
    let candidates =
      name.contains("/")
      ? [name.hasPrefix("/") ? name : "\(work)/\(name)"]
      : path.split(separator: ":").map { "\($0.hasPrefix("/") ? String($0) : "\(work)/\($0)")/\(name)" }
    var present: String?
    for candidate in candidates {
      var found = stat()
      guard stat(candidate, &found) == 0, found.st_mode & S_IFMT == S_IFREG else { continue }
      if access(candidate, X_OK) == 0 { return .success(candidate) }
      present = present ?? candidate
    }
    if let present {
      return .failure(LaunchFailure("\(present) is not executable: chmod +x it, or name an interpreter"))
    }
    let places = name.contains("/") ? candidates[0] : "PATH (\(path))"
    return .failure(LaunchFailure("the program '\(name)' was not found: looked for it in \(places)"))
  }
}

/// Why ranks could not be started, for people.
struct LaunchFailure: Error, Hashable, Sendable, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }
}
