import CLinux
import Domain
import Glibc

/// Processors and disk for this process, and for what it starts, only while nobody else on the node wants them.
enum IdlePriority {
  private static let group = "/proc/self/autogroup"

  /// Takes what of it the kernel lets it have: who cannot have it goes on as it was, which is no error.
  static func take() {
    _ = baton_compute_when_idle()
    _ = baton_set_io_idle(1)
    // Where the kernel shares processors out by session first (`autogroup` of sched(7)), what a process asks for counts only
    // among those of its session, so the session has to be content with little, too. Without privileges that may be asked
    // for once in a tenth of a second on the whole machine.
    for _ in 0..<5 {
      let file = open(Self.group, O_WRONLY | O_CLOEXEC)
      guard file >= 0 else { return }
      let failure = write(file, "19", 2) < 0 ? errno : 0
      close(file)
      guard failure == EAGAIN else { return }
      _ = waitReadable([], until: .now() + TimeSpan(microseconds: 100_000))
    }
  }
}
