import Domain
import Glibc
import ObjectStorage
import Wire

/// How far the environment of the ranks is.
enum SetupProgress: Hashable, Sendable {
  /// None is asked for, or it is there.
  case none
  /// It is being made by this process.
  case running(pid_t)
}

extension Supervisor {
  /// Has the environment of the ranks made, beside what is staged.
  func beginSetup() {
    guard order.setup != nil else { return }
    do {
      guard let program = realpath("/proc/self/exe", nil) else {
        throw SystemError("cannot find", "this program", errno: errno)
      }
      defer { free(program) }
      let environment = RankEnvironment(order: order, folder: folder, datasets: [], base: Self.ownEnvironment())
      let words = ["prepare", "--root", node.root, "--attempt", "\(folder.id.rawValue)"]
      let pid = try startProgram(
        [String(cString: program)] + words, environment.variables(), output: folder.log(helper: "setup"))
      setup = .running(pid)
    } catch {
      failStaging(.setup("\(error)"))
    }
  }

  /// Where the environment of the ranks is; nil where none was asked for.
  func madeEnvironment() throws(SystemError) -> String? {
    guard order.setup != nil else { return nil }
    guard let path = realpath(folder.environment, nil) else {
      throw SystemError("cannot find", folder.environment, errno: errno)
    }
    defer { free(path) }
    return String(cString: path)
  }

  /// Notes how the making of the environment ended, if `pid` was that.
  func setupEnded(_ pid: pid_t, _ end: ProcessEnd) {
    guard setup == .running(pid) else { return }
    setup = .none
    guard case .staging = phase else { return }
    if end == .exited(0) {
      goOnIfStaged()
    } else {
      failStaging(.setup(setupReason()))
    }
  }

  /// The last two things that were said: the step that failed, and before it what that step said itself.
  private func setupReason() -> String {
    let log = folder.log(helper: "setup")
    return LastWords.readBeforeLast(log) ?? "it could not be made"
  }

  /// Ends what runs before the ranks do; an environment that is half made is made anew the next time.
  func endSetup() {
    if setup != .none || topologyAwaitedUntil != nil { killTree() }
  }
}
