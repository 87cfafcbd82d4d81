import Dispatch

/// A remote program that runs on a channel of its own.
///
/// Letting it go, or cancelling a task that waits on it, closes the channel. That ends a program that reads its input
/// or writes output; it sends no signal.
public final class SSHProcess: Sendable {
  /// Chunks of one output stream, as they come.
  ///
  /// One task may read it at a time, and what is read is gone.
  ///
  /// Nothing is lost and nothing piles up: when the reader is slow, the channel's window fills and the program waits.
  /// Both streams share that window, so read both, or let the program join them (`2>&1`). After the last chunk comes
  /// nil; if the connection is lost, `SSHError` instead.
  public struct Output: AsyncSequence, Sendable {
    let process: SSHProcess
    let stream: Channel.Stream

    /// Reads on where the last reader stopped.
    public struct AsyncIterator: AsyncIteratorProtocol {
      let process: SSHProcess
      let stream: Channel.Stream

      /// The next chunk, never empty, or nil at the end.
      public mutating func next() async throws -> [UInt8]? {
        try await process.core.read(process.id, stream)
      }
    }

    /// A reader.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(process: process, stream: stream) }
  }

  let id: Int
  /// Held so that the connection lives as long as its process does.
  private let connection: SSHConnection
  /// Held so that a pool keeps the process's place.
  private let lease: SessionLease?
  var core: SessionCore { connection.core }

  init(id: Int, connection: SSHConnection, lease: SessionLease?) {
    self.id = id
    self.connection = connection
    self.lease = lease
  }

  deinit {
    let (core, id) = (connection.core, id)
    core.executor.queue.async { core.assumeIsolated { $0.forget(id) } }
  }

  /// Standard output.
  public var stdout: Output { Output(process: self, stream: .stdout) }
  /// Standard error.
  public var stderr: Output { Output(process: self, stream: .stderr) }

  /// How the program ended; waits for its end, which it reaches only when its output is read.
  public var exit: ExitStatus {
    get async throws { try await core.waitForExit(id) }
  }

  /// Hands bytes to the program's input.
  ///
  /// Returns when they are sent or nearly so; waits while the program does not read. One task may write at a time.
  /// Throws `.inputClosed` when the program no longer reads.
  public func write(_ bytes: [UInt8]) async throws {
    try await core.write(id, bytes)
  }

  /// Ends the program's input.
  public func closeInput() async throws {
    try await core.closeInput(id)
  }

  /// Closes the channel now.
  ///
  /// Whoever waits on the process gets `CancellationError`.
  public func cancel() async {
    await core.cancel(id)
  }
}
