import Domain
import Glibc
import ObjectStorage
import Synchronization

/// Kills what runs of an attempt once it is over, where the supervisor's main thread does not: that may wait for a disk
/// that stalls, in the middle of an entry of its journal.
///
/// It needs no disk and writes nothing down; the main thread does when it goes on, and finds here that ranks did not end
/// by themselves.
final class EndGuard: Sendable {
  /// So long after the end the main thread is not waited for any more.
  static let patience = TimeSpan.seconds(1)
  /// How often it is seen that nothing runs again.
  private static let pause = TimeSpan.seconds(1)

  private struct State {
    var end: BootInstant
    var hasKilled = false
  }

  private let state: Mutex<State>
  private let bell: Mailbox<Bool>

  /// A guard of an attempt that is over at `end`; `run` has to be called on a thread of its own.
  init(end: BootInstant) throws(SystemError) {
    state = Mutex(State(end: end))
    bell = try Mailbox()
  }

  /// The attempt is over at another moment.
  func moves(to end: BootInstant) {
    state.withLock { $0.end = end }
    bell.post(true)
  }

  /// Whether anything ran that it had to kill.
  var hasKilled: Bool { state.withLock { $0.hasKilled } }

  /// Guards for as long as the process lives.
  func run() {
    while true {
      let moment = state.withLock { $0.end } + Self.patience
      let isOver = BootInstant.now() >= moment
      if isOver { killAll() }
      _ = waitReadable([bell.descriptor], until: isOver ? .now() + Self.pause : moment)
      _ = bell.take()
    }
  }

  private func killAll() {
    for pid in ProcessTable.descendants(of: getpid()) {
      state.withLock { $0.hasKilled = true }
      kill(pid, SIGKILL)
    }
  }
}
