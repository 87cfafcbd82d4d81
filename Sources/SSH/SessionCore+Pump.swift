import CSSH2
import Dispatch

extension SessionCore {
  /// Lets every part of the session go on as far as it can.
  ///
  /// Called after every event and every request.
  func pump() {
    switch phase {
    case .closed: return
    case .connecting: pumpStep()
    case .ready: pumpChannels()
    }
    flush()
    guard wire.isEnded, wire.inbound.isEmpty || !hasReader else { return }
    if case .ready = phase {
      close(because: SSHError(.disconnected, endpoint: endpoint, detail: lastMessage()))
    }
  }

  /// Whether there is a channel through which libssh2 takes in what arrives.
  ///
  /// Without one even a keepalive's answer stays where it is.
  private var hasReader: Bool { opener != nil || channels.values.contains { $0.handle != nil } }

  /// One channel's call may take in packets for another, so the rounds go on until one of them changes nothing.
  private func pumpChannels() {
    var before: UInt64
    var progress: Bool
    repeat {
      before = wire.taken
      progress = admit()
      // In the order of their making, so that a busy session is fair and the same every time.
      for id in channels.keys.sorted() {
        guard let channel = channels[id], case .ready = phase else { continue }
        if pump(channel) { progress = true }
      }
      if case .ready = phase, !wire.inbound.isEmpty { drain() }
      if wire.outbound.count >= Self.outboundHighWater { flush() }
      guard case .ready = phase else { return }
    } while progress || wire.taken != before
  }

  /// Makes libssh2 take in what has arrived when no channel wants to read, for the sake of window adjustments,
  /// keepalives and the end of the connection.
  ///
  /// What belongs to a channel waits there, bounded by its window.
  private func drain() {
    guard let handle = channels.values.lazy.compactMap(\.handle).first else { return }
    let code = libssh2_channel_read_ex(handle, 0, wire.scratch.assumingMemoryBound(to: CChar.self).baseAddress, 0)
    _ = check(Int(code))
  }

  /// Closes the session if `code` says that it is beyond help.
  ///
  /// Returns whether the code is an error of any kind.
  func check(_ code: Int) -> Bool {
    guard code < 0, code != Int(LIBSSH2_ERROR_EAGAIN) else { return false }
    switch Int32(code) {
    case LIBSSH2_ERROR_CHANNEL_FAILURE, LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED, LIBSSH2_ERROR_CHANNEL_CLOSED,
      LIBSSH2_ERROR_CHANNEL_EOF_SENT, LIBSSH2_ERROR_CHANNEL_UNKNOWN, LIBSSH2_ERROR_INVAL:
      break
    default:
      close(because: SSHError(.disconnected, endpoint: endpoint, detail: lastMessage()))
    }
    return true
  }

  /// Starts to open the next channel, if there is a place.
  ///
  /// libssh2 can open only one at a time.
  private func admit() -> Bool {
    guard opener == nil, !queued.isEmpty else { return false }
    let taken = channels.values.count { $0.phase != .queued && $0.phase != .gone }
    guard taken < settings.channelLimit else { return false }
    let channel = queued.removeFirst()
    channel.phase = .opening
    channel.phaseDeadline = settings.channelOpenTimeout.fromNow
    opener = channel
    armTimer()
    return true
  }

  /// One step of one channel.
  ///
  /// Returns whether it made progress.
  private func pump(_ channel: Channel) -> Bool {
    switch channel.phase {
    case .queued, .gone: return false
    case .opening: return pumpOpening(channel)
    case .requesting: return pumpRequest(channel)
    case .running: return pumpRunning(channel)
    case .closing: return pumpClosing(channel)
    }
  }

  private func pumpOpening(_ channel: Channel) -> Bool {
    guard let session else { return false }
    if let handle = baton_ssh2_channel_open_session(session, UInt32(settings.channelWindow)) {
      opener = nil
      channel.handle = handle
      // Its owner may have left while the request was out.
      guard channel.outcome == nil else {
        beginClosing(channel)
        return true
      }
      channel.phase = .requesting
      channel.phaseDeadline = settings.execRequestTimeout.fromNow
      armTimer()
      return true
    }
    let code = libssh2_session_last_errno(session)
    guard code != LIBSSH2_ERROR_EAGAIN else { return false }
    let refusal = SSHError(.channelFailed, endpoint: endpoint, detail: lastMessage())
    opener = nil
    _ = check(Int(code))
    load.update { $0.isRefusing = true }
    channel.finish(.failure(refusal), endpoint: endpoint)
    remove(channel)
    return true
  }

  private func pumpRequest(_ channel: Channel) -> Bool {
    guard let handle = channel.handle else { return false }
    let code = channel.command.withUnsafeBytes {
      baton_ssh2_channel_exec(handle, $0.assumingMemoryBound(to: CChar.self).baseAddress, UInt32($0.count))
    }
    guard code != LIBSSH2_ERROR_EAGAIN else { return false }
    if check(Int(code)) {
      let refusal = SSHError(.channelFailed, endpoint: endpoint, detail: lastMessage())
      channel.finish(.failure(refusal), endpoint: endpoint)
      if channel.handle != nil { beginClosing(channel) }
      return true
    }
    channel.phase = .running
    channel.phaseDeadline = nil
    channel.startWaiter?.resume()
    channel.startWaiter = nil
    return true
  }

  private func pumpRunning(_ channel: Channel) -> Bool {
    var progress = feed(channel)
    guard case .running = channel.phase else { return true }
    if read(channel) { progress = true }
    guard case .running = channel.phase, let handle = channel.handle else { return true }
    // The end of output is not the end of the command: its status comes with the close of the channel.
    guard libssh2_channel_eof(handle) == 1, libssh2_channel_wait_closed(handle) == 0 else { return progress }
    _ = read(channel)
    guard case .running = channel.phase, libssh2_channel_eof(handle) == 1 else { return true }
    channel.finish(.success(exitStatus(of: handle)), endpoint: endpoint)
    beginClosing(channel)
    return true
  }

  private func exitStatus(of handle: OpaquePointer) -> ExitStatus {
    var name: UnsafeMutablePointer<CChar>?
    var length = 0
    if libssh2_channel_get_exit_signal(handle, &name, &length, nil, nil, nil, nil) == 0, let name {
      defer { libssh2_free(session, name) }
      return .signalled(String(decoding: UnsafeRawBufferPointer(start: name, count: length), as: UTF8.self))
    }
    return .exited(libssh2_channel_get_exit_status(handle))
  }

  private func feed(_ channel: Channel) -> Bool {
    guard let handle = channel.handle else { return false }
    var progress = false
    while !channel.input.isEmpty {
      if wire.outbound.count >= Self.outboundHighWater { flush() }
      guard wire.outbound.count < Self.outboundHighWater else { break }
      let bytes = channel.input.readable
      let count = libssh2_channel_write_ex(
        handle, 0, bytes.assumingMemoryBound(to: CChar.self).baseAddress, bytes.count)
      if check(count) {
        // The program has closed its side; what it made of the input shows in its exit status.
        channel.input.consume(bytes.count)
        channel.isEOFSent = true
        channel.inputWaiter?.resume(throwing: SSHError(.inputClosed, endpoint: endpoint))
        channel.inputWaiter = nil
        return true
      }
      guard count > 0 else { break }
      channel.input.consume(count)
      progress = true
    }
    if channel.input.count <= Self.inputLowWater {
      channel.inputWaiter?.resume()
      channel.inputWaiter = nil
    }
    if channel.input.isEmpty, channel.isInputClosed, !channel.isEOFSent {
      channel.isEOFSent = true
      _ = check(Int(libssh2_channel_send_eof(handle)))
      progress = true
    }
    return progress
  }

  private func read(_ channel: Channel) -> Bool {
    var progress = false
    for stream in Channel.Stream.allCases {
      let buffer = channel.buffer(of: stream)
      while let handle = channel.handle {
        let limit = channel.collectLimit.map { $0 + 1 } ?? settings.streamBuffer
        guard buffer.count < limit else { break }
        let size = min(wire.scratch.count, limit - buffer.count)
        let count = libssh2_channel_read_ex(
          handle, stream.rawValue, wire.scratch.assumingMemoryBound(to: CChar.self).baseAddress, size)
        if check(count) { return true }
        guard count > 0 else { break }
        progress = true
        buffer.append(UnsafeRawBufferPointer(rebasing: wire.scratch[..<count]))
        if let limit = channel.collectLimit, buffer.count > limit {
          abandon(channel, because: SSHError(.outputLimitExceeded(limit: limit), endpoint: endpoint))
          return true
        }
      }
      channel.serveReader(of: stream)
    }
    return progress
  }

  private func pumpClosing(_ channel: Channel) -> Bool {
    guard let handle = channel.handle else { return false }
    guard libssh2_channel_free(handle) != LIBSSH2_ERROR_EAGAIN else { return false }
    channel.handle = nil
    remove(channel)
    return true
  }
}
