import CLinux
import Domain
import Glibc
import ObjectStorage

/// A program to start, with nothing inherited but what is named here.
struct Spawn {
  var program: String
  var arguments: [String]
  var environment: [String: String]
  var folder: String
  /// Standard output and error are appended to it.
  var output: String
  /// An open descriptor that the program gets as number 3.
  var extra: Int32?
  /// Whether it leads a session of its own; else only a group of processes.
  var leadsSession = true

  /// Starts it; the caller has to reap it.
  func start() throws(SystemError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    if let extra { posix_spawn_file_actions_adddup2(&actions, extra, 3) }
    posix_spawn_file_actions_addclosefrom_np(&actions, extra == nil ? 3 : 4)
    posix_spawn_file_actions_addchdir_np(&actions, folder)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(
      &attributes,
      (leadsSession ? baton_spawn_setsid : Int16(POSIX_SPAWN_SETPGROUP)) | Int16(POSIX_SPAWN_SETSIGMASK)
        | Int16(POSIX_SPAWN_SETSIGDEF))

    var pid: pid_t = 0
    let code = withCStrings(arguments) { arguments in
      withCStrings(environment.map { "\($0.key)=\($0.value)" }.sorted()) { environment in
        posix_spawn(&pid, program, &actions, &attributes, arguments, environment)
      }
    }
    if code != 0 { throw SystemError("cannot start", program, errno: code) }
    return pid
  }
}

/// Lends `strings` as a C array that ends with a null.
func withCStrings<Result>(_ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
  let copies = strings.map { strdup($0) }
  defer { for copy in copies { free(copy) } }
  return body(copies + [nil])
}

/// What ended a process, from the status that `waitpid` tells.
enum ProcessEnd: Hashable, Sendable {
  case exited(Int32)
  case signalled(Int32)

  init(status: Int32) {
    let signal = status & 0x7f
    self = signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
  }
}

/// The steps between the supervisor's `posix_spawn` and the program, in the process that becomes the program.
///
/// `posix_spawn` cannot ask for a signal at the parent's death. This is no shell: the process id stays, and
/// nothing of it is left once the program runs.
enum RankTrampoline {
  /// `arguments`: the supervisor's process id, the program's path, then its argument vector from 0.
  static func run(_ arguments: [String]) -> Int32 {
    guard arguments.count >= 3, let parent = Int32(arguments[0]) else { return 127 }
    guard dieWithParent(parent) else { return 127 }
    _ = fcntl(3, F_SETFD, FD_CLOEXEC)
    var code = become(arguments[1], Array(arguments[2...]))
    // Whoever wrote the program may just have started another one, which holds it open until it is that other one.
    let limit = BootInstant.now() + .seconds(1)
    while code == ETXTBSY, BootInstant.now() < limit {
      _ = waitReadable([], until: .now() + TimeSpan(microseconds: 10_000))
      code = become(arguments[1], Array(arguments[2...]))
    }
    _ = withUnsafeBytes(of: &code) { write(3, $0.baseAddress, $0.count) }
    return 127
  }

  /// Why this process did not become the program.
  private static func become(_ program: String, _ arguments: [String]) -> Int32 {
    withCStrings(arguments) { vector in
      _ = execv(program, vector)
      return errno
    }
  }
}
