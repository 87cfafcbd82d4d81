import Domain
import Glibc
import ObjectStorage
import Wire

/// How far the environment of the ranks is.
enum SetupProgress: Hashable, Sendable {
  /// None is asked for, or it is there.
  case none
  /// This process looks for it among those that were made before; nothing is staged yet.
  case claiming(pid_t)
  /// Its commands are to see the code, which is not there yet.
  case awaitsCode
  /// It is being made by this process.
  case running(pid_t)
  /// It is there, and what is resumed from is put where the program looks for it.
  case puttingBack
}

extension Supervisor {
  /// Begins to use the environment that is there already, if one may be, before anything is evicted for what is staged; then
  /// stages.
  func claimEnvironment() {
    guard order.setup != nil, Environments(node: node).hasAny else { return goOnAfterClaim() }
    do {
      // What goes wrong here does so again when it is made, and is told then.
      setup = .claiming(try startPreparing("claim", output: "/dev/null"))
    } catch {
      failStaging(.setup("\(error)"))
    }
  }

  private func goOnAfterClaim() {
    beginStaging()
    beginSetup()
  }

  /// Starts this program as `verb`, which is about the environment of the ranks.
  private func startPreparing(_ verb: String, output: String) throws -> pid_t {
    guard let program = realpath("/proc/self/exe", nil) else {
      throw SystemError("cannot find", "this program", errno: errno)
    }
    defer { free(program) }
    let environment = RankEnvironment(order: order, folder: folder, datasets: [], base: Self.ownEnvironment())
    let words = [verb, "--root", node.root, "--attempt", "\(folder.id.rawValue)"]
    return try startProgram(
      [String(cString: program)] + words, environment.variables(), in: folder.path, output: output)
  }

  /// Has the environment of the ranks made: beside what is staged, or after that where its commands are to see the code.
  func beginSetup() {
    guard order.setup != nil else { return }
    if order.setupReadsCode, stagedData == nil {
      setup = .awaitsCode
      return
    }
    do {
      setup = .running(try startPreparing("prepare", output: folder.log(helper: "setup")))
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

  /// Notes how looking for the environment, or making it, ended, if `pid` was that.
  func setupEnded(_ pid: pid_t, _ end: ProcessEnd) {
    if setup == .claiming(pid) {
      setup = .none
      if case .staging = phase { goOnAfterClaim() }
      return
    }
    guard setup == .running(pid) else { return }
    setup = .none
    guard case .staging = phase else { return }
    if end == .exited(0) {
      if order.setupReadsCode { putBackAfterSetup() }
      goOnIfStaged()
    } else {
      failStaging(.setup(setupReason()))
    }
  }

  /// The code's folder was made anew, so what is put into it comes after that.
  private func putBackAfterSetup() {
    setup = .puttingBack
    let mailbox = mailbox
    background.append(
      Task.detached { [order, folder] in
        do {
          try await Supervisor.putBack(order, folder)
          mailbox.post(.putBack(failure: nil))
        } catch {
          mailbox.post(.putBack(failure: "\(error)"))
        }
      })
  }

  func isPutBack(_ failure: String?) {
    guard setup == .puttingBack, case .staging = phase else { return }
    setup = .none
    if let failure { failStaging(.failed(failure)) } else { goOnIfStaged() }
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
