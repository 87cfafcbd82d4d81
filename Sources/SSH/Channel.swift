import Dispatch

/// One channel of a session: a remote command from the moment it is asked for until its last byte is read.
///
/// Not `Sendable`: confined to the `SessionCore` that made it.
final class Channel {
  /// Where the channel stands with libssh2.
  ///
  /// Streams and exit status outlive it.
  enum Phase {
    /// Waits for one of the session's places. -> opening, gone
    case queued
    /// The open request is out. -> requesting, closing (abandoned), gone (refused)
    case opening
    /// The exec request is out. -> running, closing
    case requesting
    /// The command runs. -> closing
    case running
    /// The close is out; the place is taken until the server agrees. -> gone
    case closing
    /// libssh2 has forgotten it.
    case gone
  }

  enum Stream: Int32, CaseIterable {
    case stdout = 0
    case stderr = 1
  }

  let id: Int
  let command: [UInt8]
  /// For collected output: the most bytes either stream may have.
  ///
  /// Nil when a reader takes the chunks.
  let collectLimit: Int?
  var phase = Phase.queued
  var handle: OpaquePointer?
  /// The limit of the current phase.
  var phaseDeadline: DispatchTime?
  /// The limit of the whole command.
  var deadline: DispatchTime?

  let input = ByteQueue(capacity: 256)
  /// The caller has no more input.
  var isInputClosed = false
  var isEOFSent = false
  /// Nobody will ask for it again: it goes when libssh2 lets go of it.
  var isForgotten = false
  let stdout = ByteQueue(capacity: 1024)
  let stderr = ByteQueue(capacity: 256)

  /// Set once, when nothing more can happen: how the command ended, or why nobody knows.
  var outcome: Result<ExitStatus, any Error>?

  var startWaiter: CheckedContinuation<Void, any Error>?
  var inputWaiter: CheckedContinuation<Void, any Error>?
  var readers: [Stream: CheckedContinuation<[UInt8]?, any Error>] = [:]
  var exitWaiters: [CheckedContinuation<ExitStatus, any Error>] = []

  init(id: Int, command: [UInt8], collectLimit: Int?) {
    self.id = id
    self.command = command
    self.collectLimit = collectLimit
  }

  func buffer(of stream: Stream) -> ByteQueue { stream == .stdout ? stdout : stderr }

  /// The next limit that applies.
  var nextDeadline: DispatchTime? {
    guard outcome == nil else { return nil }
    return [phaseDeadline, deadline].compactMap { $0 }.min()
  }

  /// Ends the channel for its users: what is buffered stays readable, then comes the end or the error.
  func finish(_ result: Result<ExitStatus, any Error>, endpoint: SSHEndpoint) {
    guard outcome == nil else { return }
    outcome = result
    deadline = nil
    phaseDeadline = nil
    input.consume(input.count)
    let failure: (any Error)? = if case .failure(let error) = result { error } else { nil }
    if let failure { startWaiter?.resume(throwing: failure) } else { startWaiter?.resume() }
    startWaiter = nil
    inputWaiter?.resume(throwing: failure ?? SSHError(.inputClosed, endpoint: endpoint))
    inputWaiter = nil
    for waiter in exitWaiters { waiter.resume(with: result) }
    exitWaiters = []
    for stream in Stream.allCases { serveReader(of: stream) }
  }

  /// Gives a waiting reader what is there, or the end.
  func serveReader(of stream: Stream) {
    guard let reader = readers[stream] else { return }
    let buffer = buffer(of: stream)
    if !buffer.isEmpty {
      reader.resume(returning: buffer.takeAll())
    } else if case .failure(let error) = outcome {
      reader.resume(throwing: error)
    } else if outcome != nil {
      reader.resume(returning: nil)
    } else {
      return
    }
    readers[stream] = nil
  }
}
