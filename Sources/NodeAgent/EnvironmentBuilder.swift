import Domain
import Glibc
import ObjectStorage
import Wire

/// Makes the environment of an attempt on this node, where there is none yet that was made from the same.
///
/// It is a program of its own (`claim`, then `prepare`), whose output is the attempt's `logs/setup.log`. An environment is one once its
/// stamp is there, which is written last; what was left half is made anew. It is made where it stays, since its scripts
/// name that place.
struct EnvironmentBuilder {
  let order: AttemptOrder
  let node: NodeFolder
  let folder: AttemptFolder

  /// Begins to use the environment that `run` would find, where there is one: nothing evicts it from now on.
  ///
  /// Waits for who begins to use or evicts it at this moment. Changes nothing where there is none.
  func claim() throws {
    guard let setup = order.setup else { return }
    let variables = variables()
    let key = try key(of: setup, python: program("python3", variables), variables)
    let environments = Environments(node: node)
    guard Disk.status(environments.stamp(key)) != nil else { return }
    let lock = try FileLock(environments.lock(key))
    defer { withExtendedLifetime(lock) {} }
    guard Disk.status(environments.stamp(key)) != nil else { return }
    try link(to: key, environments, nil)
  }

  /// Waits for another attempt that makes the same.
  ///
  /// Where commands of the job's are to see its code, they run in a copy of it that belongs to the environment, since an
  /// environment may name it (`pip install -e .`), and outlives this attempt. What they made of that is what the ranks get.
  /// Throws `LaunchFailure` with the step that failed; what that said is above it in the log.
  func run() throws {
    guard let setup = order.setup else { return }
    let variables = variables()
    let python = try program("python3", variables)
    let environments = Environments(node: node)
    let key = try key(of: setup, python: python, variables)
    let place = environments.path(key)
    try Disk.makeFolders(node.environments)
    let lock = try FileLock(environments.lock(key))
    defer { withExtendedLifetime(lock) {} }
    let isThere = Disk.status(environments.stamp(key)) != nil
    if !isThere {
      try Disk.removeTree(place)
      try build(setup, at: place, python, variables)
      try Disk.writeAtomically(try Codec.line(setup), to: environments.stamp(key))
    }
    try link(to: key, environments, isThere ? nil : Disk.allocated(place))
    if order.setupReadsCode {
      try Disk.removeTree(folder.work)
      try step(["/bin/cp", "-a", Self.code(in: place), folder.work], variables, in: folder.path)
      try Disk.removeTree(folder.codeTar)
    }
  }

  private func variables() -> [String: String] {
    RankEnvironment(order: order, folder: folder, datasets: [], base: Supervisor.ownEnvironment()).variables()
  }

  /// Has the attempt use an environment, whose lock is held; `bytes` is how much it is, nil where that was noted.
  private func link(to key: String, _ environments: Environments, _ bytes: ByteCount?) throws {
    try Disk.removeTree(folder.environment)
    if symlink(environments.path(key), folder.environment) != 0 {
      throw SystemError("cannot link", folder.environment, errno: errno)
    }
    try environments.use(key, bytes)
  }

  private static func code(in place: String) -> String { place + "/code" }

  /// What makes two environments the same: the interpreter, the packages, the commands, and the code that these see.
  private func key(of setup: SetupSpec, python: String, _ variables: [String: String]) throws -> String {
    let told = folder.path + "/interpreter"
    try Disk.removeTree(told)
    try step(
      [python, "-c", "import sys; print(sys.version, sys.executable)"], variables, in: folder.path, output: told)
    var hash = ContentHash()
    hash.update(try Disk.readAll(told))
    hash.update(try Codec.line(setup))
    if order.setupReadsCode, let code = order.code { hash.update(Array("\(code.sha256) \(code.folder)\n".utf8)) }
    return String(hash.hex().prefix(32))
  }

  private func build(_ setup: SetupSpec, at place: String, _ python: String, _ variables: [String: String]) throws {
    try step([python, "-m", "venv", place], variables, in: folder.path)
    let inside = RankEnvironment.inside(place, variables)
    if let requirements = setup.requirements {
      let lock = place + "/requirements.txt"
      try Disk.writeAtomically(Array(requirements.utf8), to: lock, mode: 0o644)
      let install = ["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "-r", lock]
      try step(["\(place)/bin/python"] + install, inside, in: folder.path)
    }
    let work = try workPlace(at: place)
    for command in setup.commands {
      try step(command.map { RankEnvironment.expand($0, with: inside) }, inside, in: work)
    }
  }

  /// Where commands run: in the job file's folder of the code, else in a folder with nothing in it.
  private func workPlace(at place: String) throws -> String {
    guard order.setupReadsCode, let code = order.code else { return folder.work }
    let copy = Self.code(in: place)
    try CodeArchive.write(try CodeArchive.files(of: try Disk.readAll(folder.codeTar)), to: copy)
    guard !code.folder.isEmpty else { return copy }
    try Disk.makeFolders("\(copy)/\(code.folder)")
    return "\(copy)/\(code.folder)"
  }

  private func program(_ name: String, _ variables: [String: String], in place: String? = nil) throws -> String {
    try RankEnvironment.findProgram(name, path: variables["PATH"] ?? "", work: place ?? folder.path).get()
  }

  /// Runs `command` in `place` to its end.
  private func step(
    _ command: [String], _ variables: [String: String], in place: String, output: String? = nil
  ) throws {
    let spawn = Spawn(
      program: try program(command.first ?? "", variables, in: place), arguments: command, environment: variables,
      folder: place, output: output ?? folder.log(helper: "setup"), extra: nil)
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

extension AttemptOrder {
  /// Whether what makes the environment is to see the code, and so has to wait for it.
  ///
  /// Requirements alone do not: what they are is in the order.
  var setupReadsCode: Bool { code != nil && setup?.commands.isEmpty == false }
}
