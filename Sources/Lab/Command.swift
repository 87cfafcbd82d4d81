import Foundation
import Glibc

/// A program to start, with everything it needs to know.
struct Command: Sendable {
  var executable: String
  var arguments: [String]
  /// Added to the environment of this process.
  var environment: [String: String] = [:]
  var folder: String = "/"

  init(_ executable: String, _ arguments: [String], environment: [String: String] = [:], folder: String = "/") {
    self.executable = executable
    self.arguments = arguments
    self.environment = environment
    self.folder = folder
  }

  /// What a program that ran to its end left behind.
  struct Result: Sendable {
    /// The exit code; 128 + n after signal n.
    var status: Int32
    var output: String
    var problems: String
  }

  /// Starts the program in a session of its own, so that it outlives this process and its terminal.
  ///
  /// Its output is appended to `log`; its input is `input`, or empty. A thread waits for its end, so that it leaves
  /// no zombie here.
  func startDaemon(log: String, input: Int32? = nil) throws(LabError) -> ProcessIdentity {
    let logFile = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard logFile >= 0 else { throw Files.failure("open the log", log) }
    defer { close(logFile) }
    let pid = try spawn(input: input, output: logFile, problems: logFile)
    // Until it is waited for, the number stays taken, so its identity can be read even if it ended at once.
    let identity = ProcessIdentity(pid: pid)
    Thread.detachNewThread { _ = Self.waitForEnd(of: pid) }
    guard let identity else { throw LabError(.systemCall, "cannot read /proc/\(pid)/stat", advice: "mount /proc") }
    return identity
  }

  /// Runs the program to its end.
  ///
  /// Kills it and throws `.timedOut` when that takes longer than `limit`.
  ///
  /// A failure of the program is not thrown: see `checked`. Cancelling does not end the program.
  func run(within limit: Duration = .seconds(60)) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      // poll and waitpid block, and must not take a thread of the cooperative pool.
      Thread.detachNewThread {
        continuation.resume(with: Swift.Result { try runBlocking(within: limit) })
      }
    }
  }

  /// Runs the program to its end and throws `.programFailed`, with its last words, unless it exits with 0.
  @discardableResult
  func checked(within limit: Duration = .seconds(60), advice: String? = nil) async throws -> Result {
    let result = try await run(within: limit)
    guard result.status == 0 else {
      let words = result.problems.isEmpty ? result.output : result.problems
      throw LabError(
        .programFailed, "\(executable) \(arguments.first ?? "") failed with \(result.status): \(words.suffix(2000))",
        advice: advice)
    }
    return result
  }

  private func runBlocking(within limit: Duration) throws -> Result {
    let output = try Pipe.make()
    let problems = try Pipe.make()
    defer {
      close(output.reading)
      close(problems.reading)
    }
    let pid: pid_t
    do {
      defer {
        close(output.writing)
        close(problems.writing)
      }
      pid = try spawn(input: nil, output: output.writing, problems: problems.writing)
    }
    let end = ContinuousClock.now.advanced(by: limit)
    var texts: [[UInt8]] = [[], []]
    var sources = [output.reading, problems.reading].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    while sources.contains(where: { $0.fd >= 0 }) {
      let left = ContinuousClock.now.duration(to: end)
      guard left > .zero else {
        kill(pid, SIGKILL)
        _ = Self.waitForEnd(of: pid)
        throw LabError(.timedOut, "\(executable) \(arguments.first ?? "") was still running after \(limit)")
      }
      _ = poll(&sources, nfds_t(sources.count), Int32(min(left.components.seconds, 1000)) * 1000 + 100)
      for index in sources.indices where sources[index].revents != 0 {
        var chunk = [UInt8](repeating: 0, count: 16_384)
        let count = read(sources[index].fd, &chunk, chunk.count)
        if count > 0 { texts[index] += chunk[..<count] } else if count == 0 || errno != EINTR { sources[index].fd = -1 }
      }
    }
    let status = Self.waitForEnd(of: pid)
    return Result(
      status: status, output: String(decoding: texts[0], as: UTF8.self),
      problems: String(decoding: texts[1], as: UTF8.self))
  }

  /// Blocks until a child ends; its exit code, or 128 + the signal that ended it.
  private static func waitForEnd(of pid: pid_t) -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 {
      guard errno == EINTR else { return 255 }
    }
    let signal = status & 0x7f
    return signal == 0 ? (status >> 8) & 0xff : 128 + signal
  }

  private func spawn(input: Int32?, output: Int32, problems: Int32) throws(LabError) -> pid_t {
    guard Files.isExecutable(executable) else {
      throw LabError(.missingProgram, "\(executable) is not there or not executable")
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input {
      posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, problems, 2)
    guard let closeFrom = NewSpawnActions.closeFrom, let changeFolder = NewSpawnActions.changeFolder else {
      throw LabError(
        .unsupported, "the C library is too old to start programs cleanly", advice: "use glibc 2.34 or newer")
    }
    // A daemon that held a socket or pipe of this process open would keep its peer waiting.
    _ = closeFrom(&actions, 3)
    _ = changeFolder(&actions, folder)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    let ownSession: Int32 = 0x80  // POSIX_SPAWN_SETSID
    posix_spawnattr_setflags(
      &attributes, Int16(Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF) | ownSession))

    let merged = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    var argv = ([executable] + arguments).map { strdup($0) } + [nil]
    var envp = merged.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in argv + envp { free(text) } }
    var pid: pid_t = 0
    let problem = posix_spawn(&pid, executable, &actions, &attributes, &argv, &envp)
    guard problem == 0 else { throw Files.failure("start", executable, problem) }
    return pid
  }
}

/// File actions that the C library has but shows only to programs that ask for its extensions.
private enum NewSpawnActions {
  typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
  typealias ChangeFolder =
    @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, UnsafePointer<CChar>) -> Int32

  static let closeFrom = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map {
    unsafeBitCast($0, to: CloseFrom.self)
  }
  static let changeFolder = dlsym(nil, "posix_spawn_file_actions_addchdir_np").map {
    unsafeBitCast($0, to: ChangeFolder.self)
  }
}

/// Two ends of a pipe, closed in programs that this process starts.
struct Pipe {
  var reading: Int32
  var writing: Int32

  static func make() throws(LabError) -> Pipe {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw Files.failure("make", "a pipe") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return Pipe(reading: ends[0], writing: ends[1])
  }
}

/// Finds the system's programs that the lab is made of.
enum Programs {
  /// The path of `name`; looks in the search path and where administrators' programs are.
  static func find(_ name: String, package: String) throws(LabError) -> String {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    let folders = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    if let folder = folders.first(where: { Files.isExecutable("\($0)/\(name)") }) { return "\(folder)/\(name)" }
    throw LabError(.missingProgram, "\(name) is not installed", advice: "apt-get install \(package)")
  }
}
