import Dispatch

extension SessionCore {
  /// Asks for a channel and the command on it.
  ///
  /// Returns at once; the channel may wait for a place.
  func add(
    command: [UInt8], input: [UInt8], closesInput: Bool, collectLimit: Int?, timeout: Duration?
  ) throws -> Channel {
    if case .closed(let reason) = phase { throw reason }
    let channel = Channel(id: nextID(), command: command, collectLimit: collectLimit)
    input.withUnsafeBytes { channel.input.append($0) }
    channel.isInputClosed = closesInput
    channel.deadline = timeout.map(\.fromNow)
    channels[channel.id] = channel
    queued.append(channel)
    load.update { $0.channels += 1 }
    armTimer()
    return channel
  }

  /// Runs a command to its end.
  ///
  /// Cancelling closes the channel.
  func collect(command: [UInt8], input: [UInt8], limit: Int, timeout: Duration?) async throws -> ExecResult {
    try Task.checkCancellation()
    let channel = try add(
      command: command, input: input, closesInput: true, collectLimit: limit, timeout: timeout)
    let id = channel.id
    defer { forget(id) }
    let status = try await waitForExit(id)
    return ExecResult(status: status, stdout: channel.stdout.takeAll(), stderr: channel.stderr.takeAll())
  }

  /// Starts a command whose output is read in chunks.
  ///
  /// Returns the channel's number once the command runs.
  func start(command: [UInt8], input: [UInt8], closesInput: Bool) async throws -> Int {
    try Task.checkCancellation()
    let channel = try add(
      command: command, input: input, closesInput: closesInput, collectLimit: nil, timeout: nil)
    let id = channel.id
    do {
      try await withCancellation(of: id) { channel.startWaiter = $0 }
    } catch {
      forget(id)
      throw error
    }
    return id
  }

  /// How the command ended; waits for it.
  func waitForExit(_ id: Int) async throws -> ExitStatus {
    let channel = try channel(id)
    if let outcome = channel.outcome { return try outcome.get() }
    return try await withCancellation(of: id) { channel.exitWaiters.append($0) }
  }

  /// The next chunk of a stream, or nil at its end.
  ///
  /// One reader of a stream at a time.
  func read(_ id: Int, _ stream: Channel.Stream) async throws -> [UInt8]? {
    let channel = try channel(id)
    let buffer = channel.buffer(of: stream)
    let isImmediate = !buffer.isEmpty || channel.outcome != nil
    return try await withCancellation(of: id) { waiter in
      guard channel.readers[stream] == nil else {
        let detail = "two tasks read the same stream"
        waiter.resume(throwing: SSHError(.invalidArgument, endpoint: self.endpoint, detail: detail))
        return
      }
      channel.readers[stream] = waiter
      if isImmediate { channel.serveReader(of: stream) }
    }
  }

  /// Hands bytes to the command; returns when they are sent or nearly so.
  func write(_ id: Int, _ bytes: [UInt8]) async throws {
    let channel = try channel(id)
    if case .failure(let error) = channel.outcome { throw error }
    guard channel.outcome == nil, !channel.isInputClosed, !channel.isEOFSent else {
      throw SSHError(.inputClosed, endpoint: endpoint)
    }
    bytes.withUnsafeBytes { channel.input.append($0) }
    pump()
    guard channel.outcome == nil, channel.input.count > Self.inputLowWater else { return }
    try await withCancellation(of: id) { waiter in
      // One writer at a time is the rule; a second one merely does not wait for its turn.
      channel.inputWaiter?.resume()
      channel.inputWaiter = waiter
    }
  }

  /// Says that no more input comes.
  func closeInput(_ id: Int) throws {
    let channel = try channel(id)
    channel.isInputClosed = true
    pump()
  }

  /// Ends a channel that nobody wants any more.
  ///
  /// The command is not killed: it loses its input and output.
  func cancel(_ id: Int, because error: any Error = CancellationError()) {
    guard let channel = channels[id] else { return }
    abandon(channel, because: error)
    pump()
  }

  /// Cancels the channel if it still runs, and drops what is left of it.
  func forget(_ id: Int) {
    guard let channel = channels[id] else { return }
    abandon(channel, because: SSHError(.closed, endpoint: endpoint))
    channel.isForgotten = true
    if case .gone = channel.phase { drop(channel) }
    pump()
  }

  // MARK: For the pump

  /// Fails the channel's users and closes it, wherever it stands.
  func abandon(_ channel: Channel, because error: any Error) {
    guard channel.outcome == nil else { return }
    channel.finish(.failure(error), endpoint: endpoint)
    switch channel.phase {
    case .queued:
      queued.removeAll { $0 === channel }
      remove(channel)
    case .requesting, .running:
      load.update { $0.abandoned += 1 }
      beginClosing(channel)
    case .opening, .closing, .gone: break
    }
  }

  func beginClosing(_ channel: Channel) {
    channel.phase = .closing
    channel.phaseDeadline = nil
  }

  /// The channel holds no place any more.
  func remove(_ channel: Channel) {
    channel.phase = .gone
    load.update { $0.channels -= 1 }
    if channel.isForgotten { drop(channel) }
  }

  private func drop(_ channel: Channel) {
    channels[channel.id] = nil
    idleSince = .now()
    armTimer()
  }

  private func channel(_ id: Int) throws -> Channel {
    guard let channel = channels[id] else { throw SSHError(.closed, endpoint: endpoint) }
    return channel
  }

  /// Waits for something of a channel; a cancelled wait closes the channel.
  private func withCancellation<Value: Sendable>(
    of id: Int, _ register: (CheckedContinuation<Value, any Error>) -> Void
  ) async throws -> Value {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { waiter in
        register(waiter)
        pump()
      }
    } onCancel: {
      executor.queue.async { self.assumeIsolated { $0.cancel(id) } }
    }
  }
}
