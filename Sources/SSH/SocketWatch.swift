import Dispatch
import Glibc

/// A socket and its two readiness sources.
///
/// Owns the descriptor, which closes when both sources have let go of it.
///
/// Not `Sendable`: used only on the queue given to it.
final class SocketWatch {
  let descriptor: Int32
  private let readSource: any DispatchSourceRead
  private let writeSource: any DispatchSourceWrite
  private var isCancelled = false

  /// Takes over `descriptor`.
  ///
  /// Nothing is watched until one of the flags below is set.
  init(
    _ descriptor: Int32, queue: DispatchQueue, readable: @escaping @Sendable () -> Void,
    writable: @escaping @Sendable () -> Void
  ) {
    self.descriptor = descriptor
    readSource = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
    writeSource = DispatchSource.makeWriteSource(fileDescriptor: descriptor, queue: queue)
    readSource.setEventHandler(handler: readable)
    writeSource.setEventHandler(handler: writable)
    let group = DispatchGroup()
    group.enter()
    group.enter()
    readSource.setCancelHandler { @Sendable in group.leave() }
    writeSource.setCancelHandler { @Sendable in group.leave() }
    group.notify(queue: queue) { @Sendable in _ = Glibc.close(descriptor) }
  }

  deinit { cancel() }

  /// Whether readiness to read is reported.
  var watchesReading = false {
    didSet {
      guard !isCancelled, watchesReading != oldValue else { return }
      if watchesReading { readSource.resume() } else { readSource.suspend() }
    }
  }

  /// Whether readiness to write is reported.
  var watchesWriting = false {
    didSet {
      guard !isCancelled, watchesWriting != oldValue else { return }
      if watchesWriting { writeSource.resume() } else { writeSource.suspend() }
    }
  }

  /// Ends the watch and closes the socket soon after.
  ///
  /// Once is enough; more is harmless.
  func cancel() {
    guard !isCancelled else { return }
    // A suspended source never runs its cancel handler, and may not be released.
    watchesReading = true
    watchesWriting = true
    isCancelled = true
    readSource.cancel()
    writeSource.cancel()
  }
}
