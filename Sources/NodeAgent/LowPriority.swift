import Domain
import Glibc

/// Less of the processors than others on the node get, for this process and for what it starts.
///
/// Little, and not only what nobody else wants: a process that is killed needs some of it to die, and whoever kills waits for that.
enum LowPriority {
  private static let group = "/proc/self/autogroup"

  /// Takes what of it the kernel lets it have: who cannot have it goes on as it was, which is no error.
  static func take() {
    _ = nice(10)
    // Where the kernel shares processors out by session first (`autogroup` of sched(7)), what a process asks for counts only
    // among those of its session, so the session has to be content with little, too. Without privileges that may be asked
    // for once in a tenth of a second on the whole machine.
    for _ in 0..<5 {
      let file = open(Self.group, O_WRONLY | O_CLOEXEC)
      guard file >= 0 else { return }
      let failure = write(file, "10", 2) < 0 ? errno : 0
      close(file)
      guard failure == EAGAIN else { return }
      _ = waitReadable([], until: .now() + TimeSpan(microseconds: 100_000))
    }
  }
}
