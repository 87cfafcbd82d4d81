import Dispatch
import Glibc

/// Calls back on a queue whenever a socket is readable or its peer is gone, until it is released.
final class SocketWatch {
  private let source: any DispatchSourceRead

  /// Watches a copy of `descriptor`, so that libpq may close its own at any time without the source noticing.
  init?(_ descriptor: Int32, queue: DispatchQueue, _ handler: @escaping @Sendable () -> Void) {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { return nil }
    source = DispatchSource.makeReadSource(fileDescriptor: copy, queue: queue)
    source.setEventHandler(handler: handler)
    source.setCancelHandler { close(copy) }
    source.resume()
  }

  deinit {
    source.cancel()
  }
}
