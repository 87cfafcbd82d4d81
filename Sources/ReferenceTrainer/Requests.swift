import Glibc
import Synchronization

/// What the outside has asked for since it was last looked at.
struct Requests: OptionSet, Sendable {
  let rawValue: UInt32
  /// Save after this step and go on (SIGUSR1).
  static let save = Requests(rawValue: 1)
  /// Save after this step and leave (SIGTERM).
  static let leave = Requests(rawValue: 2)
}

/// Turns signals into requests.
///
/// A handler only sets a bit: saving happens between two steps, by the loop.
enum SignalInbox {
  private static let pending = Atomic<UInt32>(0)

  /// Starts to listen to SIGUSR1 and SIGTERM for the whole process and ignores SIGPIPE.
  static func listen() {
    // The first use of a static runs its initialiser, which a handler must never be the one to do.
    _ = pending.load(ordering: .relaxed)
    signal(SIGUSR1) { _ in SignalInbox.post(.save) }
    signal(SIGTERM) { _ in SignalInbox.post(.leave) }
    signal(SIGPIPE, SIG_IGN)
    // Whoever started us may have blocked them, as threads of libdispatch do; a child inherits that.
    var ours = sigset_t()
    sigemptyset(&ours)
    sigaddset(&ours, SIGUSR1)
    sigaddset(&ours, SIGTERM)
    pthread_sigmask(SIG_UNBLOCK, &ours, nil)
  }

  /// Takes what was asked for.
  ///
  /// A request to save is taken once; one to leave stays.
  static func take() -> Requests {
    Requests(rawValue: pending.bitwiseAnd(Requests.leave.rawValue, ordering: .relaxed).oldValue)
  }

  /// Whether to leave, without taking anything.
  static var leaving: Bool {
    Requests(rawValue: pending.load(ordering: .relaxed)).contains(.leave)
  }

  private static func post(_ request: Requests) {
    pending.bitwiseOr(request.rawValue, ordering: .relaxed)
  }
}
