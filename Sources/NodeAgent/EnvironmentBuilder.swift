import Domain
import Glibc
import ObjectStorage
import Wire

/// Makes the environment of an attempt on this node, where there is none yet that was made from the same.
///
/// It is a program of its own (`prepare`), whose output is the attempt's `logs/setup.log`. An environment is one once its
/// stamp is there, which is written last; what was left half is made anew. It is made where it stays, since its scripts
/// name that place.
struct EnvironmentBuilder {
  let order: AttemptOrder
  let node: NodeFolder
  let folder: AttemptFolder

  /// Waits for another attempt that makes the same.
  ///
  /// Throws `LaunchFailure` with the step that failed; what that said is above it in the log.
  func run() throws {
    guard let setup = order.setup else { return }
    let variables = RankEnvironment(order: order, folder: folder, datasets: [], base: Supervisor.ownEnvironment())
      .variables()
    let python = try program("python3", variables)
    let place = "\(node.environments)/\(try key(of: setup, python: python, variables))"
    try Disk.makeFolders(node.environments)
    let lock = try FileLock(place + ".lock")
    defer { withExtendedLifetime(lock) {} }
    let stamp = place + ".json"
    if Disk.status(stamp) == nil {
      try Disk.removeTree(place)
      try build(setup, at: place, python, variables)
      try Disk.writeAtomically(try Codec.line(setup), to: stamp)
    }
    try Disk.removeTree(folder.environment)
    if symlink(place, folder.environment) != 0 {
      throw SystemError("cannot link", folder.environment, errno: errno)
    }
  }

  /// What makes two environments the same: the interpreter, the packages, the commands.
  private func key(of setup: SetupSpec, python: String, _ variables: [String: String]) throws -> String {
    let told = folder.path + "/interpreter"
    try Disk.removeTree(told)
    try step([python, "-c", "import sys; print(sys.version, sys.executable)"], variables, output: told)
    var hash = ContentHash()
    hash.update(try Disk.readAll(told))
    hash.update(try Codec.line(setup))
    return String(hash.hex().prefix(32))
  }

  private func build(_ setup: SetupSpec, at place: String, _ python: String, _ variables: [String: String]) throws {
    try step([python, "-m", "venv", place], variables)
    let inside = RankEnvironment.inside(place, variables)
    if let requirements = setup.requirements {
      let lock = place + "/requirements.txt"
      try Disk.writeAtomically(Array(requirements.utf8), to: lock, mode: 0o644)
      try step(
        ["\(place)/bin/python", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "-r", lock], inside
      )
    }
    for command in setup.commands {
      try step(command.map { RankEnvironment.expand($0, with: inside) }, inside)
    }
  }

  private func program(_ name: String, _ variables: [String: String]) throws -> String {
    try RankEnvironment.findProgram(name, path: variables["PATH"] ?? "", work: folder.work).get()
  }

  /// Runs `command` to its end.
  private func step(_ command: [String], _ variables: [String: String], output: String? = nil) throws {
    let spawn = Spawn(
      program: try program(command.first ?? "", variables), arguments: command, environment: variables,
      folder: folder.work, output: output ?? folder.log(helper: "setup"), extra: nil)
    let pid = try spawn.start()
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 {
      if errno != EINTR { throw SystemError("cannot wait for", command[0], errno: errno) }
    }
    switch ProcessEnd(status: status) {
    case .exited(0): return
    case .exited(let code): throw LaunchFailure("\(Self.shown(command)) ended with exit code \(code)")
    case .signalled(let signal): throw LaunchFailure("\(Self.shown(command)) was ended by signal \(signal)")
    }
  }

  private static func shown(_ command: [String]) -> String {
    let text = command.joined(separator: " ")
    return text.count > 120 ? "\(text.prefix(120))..." : text
  }
}
