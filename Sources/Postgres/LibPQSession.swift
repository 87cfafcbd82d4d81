import CPQ
import Dispatch
import Glibc

/// One `PGconn` and the blocking loops around libpq's asynchronous calls.
///
/// Not Sendable: it belongs to one `PostgresConnection`, whose private queue is the only place that calls it, so no two
/// threads are ever in one `PGconn` and a thread that waits here is never one of the cooperative pool.
final class LibPQSession {
  /// How long a call may take and what may stop it.
  struct Limits {
    var deadline: ContinuousClock.Instant
    /// Nil for statements that must end whatever happens to their task, such as COMMIT.
    var cancel: CancelFlag?
  }

  let wake: WakeSignal
  private let cancelGrace: Duration
  private var handle: OpaquePointer?
  /// Set when the server said FATAL while no statement was under way: it is about to close the connection.
  private var sawFatalNotice = false
  private(set) var brokenBecause: PostgresError?

  init(wake: WakeSignal, cancelGrace: Duration) {
    self.wake = wake
    self.cancelGrace = cancelGrace
  }

  deinit {
    PQfinish(handle)
  }

  /// The connection, as long as it can take a statement.
  private func live(statement: String? = nil) throws -> OpaquePointer {
    if let handle, brokenBecause == nil { return handle }
    throw lost(brokenBecause?.message ?? "not connected", statement: statement)
  }

  var descriptor: Int32 { handle.map { PQsocket($0) } ?? -1 }
  var backendPID: Int32 { handle.map { PQbackendPID($0) } ?? 0 }
  var isBroken: Bool { brokenBecause != nil }

  // MARK: Connecting

  func open(keywords: [(String, String)], limits: Limits) throws {
    guard let handle = startConnecting(keywords) else {
      throw PostgresError(.cannotConnect, message: "libpq is out of memory")
    }
    self.handle = handle
    var phase = PGRES_POLLING_WRITING
    if PQstatus(handle) == CONNECTION_BAD { throw failConnecting(handle) }
    // Verbose messages carry the SQLSTATE, which libpq does not hand out otherwise before a session exists.
    PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
    while phase != PGRES_POLLING_OK {
      let events = phase == PGRES_POLLING_READING ? POLLIN : POLLOUT
      switch wait(for: events, limits) {
      case .ready: break
      case .timedOut:
        close(because: PostgresError(.closed, message: "the connection was not made in time"))
        throw PostgresError(
          .cannotConnect, message: "no connection within the time limit", hint: "is the server reachable?")
      case .cancelled:
        close(because: PostgresError(.closed, message: "connecting was cancelled"))
        throw CancellationError()
      }
      phase = PQconnectPoll(handle)
      if phase == PGRES_POLLING_FAILED { throw failConnecting(handle) }
    }
    PQsetErrorVerbosity(handle, PQERRORS_DEFAULT)
    PQsetnonblocking(handle, 1)
    installNoticeReceiver(handle)
  }

  private func startConnecting(_ keywords: [(String, String)]) -> OpaquePointer? {
    let names = CStringArray(keywords.map(\.0))
    let values = CStringArray(keywords.map(\.1))
    return names.withPointers { names in values.withPointers { values in PQconnectStartParams(names, values, 1) } }
  }

  private func failConnecting(_ handle: OpaquePointer) -> PostgresError {
    let error = PostgresError(connectFailure: String(cString: PQerrorMessage(handle)))
    close(because: error)
    return error
  }

  /// Without a receiver libpq prints notices to standard error.
  private func installNoticeReceiver(_ handle: OpaquePointer) {
    let receiver: PQnoticeReceiver = { context, result in
      guard let context, let result else { return }
      guard let severity = PQresultErrorField(result, diagnostic("V")) else { return }
      let text = String(cString: severity)
      guard text == "FATAL" || text == "PANIC" else { return }
      Unmanaged<LibPQSession>.fromOpaque(context).takeUnretainedValue().sawFatalNotice = true
    }
    PQsetNoticeReceiver(handle, receiver, Unmanaged.passUnretained(self).toOpaque())
  }

  func close(because error: PostgresError) {
    if brokenBecause == nil { brokenBecause = error }
    PQfinish(handle)
    handle = nil
  }

  // MARK: Statements

  func prepare(name: String, text: String, _ limits: Limits) throws {
    let connection = try live(statement: text)
    try run(text, limits, outcomeWhenLost: .notExecuted) { PQsendPrepare(connection, name, text, 0, nil) }
  }

  func describe(name: String, text: String, _ limits: Limits) throws -> StatementDescription {
    let connection = try live(statement: text)
    let result = try run(text, limits, outcomeWhenLost: .notExecuted) { PQsendDescribePrepared(connection, name) }
    guard let result else { throw PostgresError(.misuse, message: "an empty statement", statement: text) }
    let parameters = (0..<PQnparams(result.pointer)).map { PQparamtype(result.pointer, $0) }
    return StatementDescription(parameterTypeOIDs: parameters, columns: result.columns)
  }

  func executePrepared(name: String, text: String, binds: [String?], _ limits: Limits) throws -> LibPQResult {
    let connection = try live(statement: text)
    let values = CStringArray(binds)
    let result = try run(text, limits) {
      values.withPointers {
        PQsendQueryPrepared(connection, name, Int32(binds.count), $0, nil, nil, 0)
      }
    }
    guard let result else { throw PostgresError(.misuse, message: "an empty statement", statement: text) }
    return result
  }

  /// Sends text by the simple protocol, in which it may hold several statements.
  func executeScript(_ text: String, _ limits: Limits, outcomeWhenLost: PostgresError.Outcome = .unknown) throws
    -> LibPQResult?
  {
    let connection = try live(statement: text)
    return try run(text, limits, outcomeWhenLost: outcomeWhenLost) { PQsendQuery(connection, text) }
  }

  /// Runs `COPY ... FROM STDIN` with `data` as what comes in.
  func copyIn(_ text: String, data: [UInt8], _ limits: Limits) throws -> LibPQResult? {
    let connection = try live(statement: text)
    return try run(text, limits, copying: data) { PQsendQuery(connection, text) }
  }

  /// Sends something and waits until the server is ready for the next; gives the last result.
  @discardableResult
  private func run(
    _ statement: String, _ limits: Limits, outcomeWhenLost: PostgresError.Outcome = .unknown, copying: [UInt8]? = nil,
    send: () -> Int32
  ) throws -> LibPQResult? {
    if limits.cancel?.isRaised == true { throw CancellationError() }
    guard checkIdle() else { throw lost(brokenBecause?.message ?? "", statement: statement) }
    wake.clear()
    guard send() == 1 else {
      throw breakDown(statement: statement, outcome: outcomeWhenLost)
    }
    var conversation = Conversation(statement: statement, outcomeWhenLost: outcomeWhenLost, limits: limits)
    conversation.copying = copying
    while let result = try nextResult(&conversation) {
      conversation.last = result
      try note(result, &conversation)
    }
    try settle(conversation)
    return conversation.last
  }

  private struct Conversation {
    let statement: String
    let outcomeWhenLost: PostgresError.Outcome
    var limits: Limits
    /// What a COPY takes in; nil for any other statement, and once it was sent.
    var copying: [UInt8]?
    var last: LibPQResult?
    var failure: PostgresError?
    var interruption: (reason: WaitResult, request: CancelRequest)?
  }

  private func nextResult(_ conversation: inout Conversation) throws -> LibPQResult? {
    let connection = try live()
    while true {
      let unsent = PQflush(connection)
      if unsent == 0, PQisBusy(connection) == 0 { break }
      let reason = wait(for: unsent == 0 ? POLLIN : POLLIN | POLLOUT, conversation.limits)
      switch reason {
      case .ready(let events):
        // A failed flush shows here too: libpq reports write errors once it has read what the server last said.
        let mayRead = events & ~POLLOUT != 0 || unsent < 0
        if mayRead, PQconsumeInput(connection) == 0 {
          throw breakDown(statement: conversation.statement, outcome: conversation.outcomeWhenLost)
        }
      case .timedOut, .cancelled:
        guard conversation.interruption == nil else { throw giveUp(conversation) }
        conversation.interruption = (reason, CancelRequest(connection))
        conversation.limits = Limits(deadline: .now + cancelGrace, cancel: nil)
      }
    }
    return PQgetResult(connection).map(LibPQResult.init)
  }

  private func note(_ result: LibPQResult, _ conversation: inout Conversation) throws {
    switch PQresultStatus(result.pointer) {
    case PGRES_COPY_IN where conversation.copying != nil:
      try sendCopy(&conversation)
    case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
      close(because: PostgresError(.closed, message: "closed after a COPY that was not sent by `copy`"))
      throw PostgresError(
        .misuse, outcome: .unknown, message: "COPY needs a data stream, which a statement has not",
        hint: "use copy(_:into:columns:)", statement: conversation.statement)
    case PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE, PGRES_PIPELINE_ABORTED:
      let error = PostgresError(result, statement: conversation.statement)
      let isFatal = error.severity == "FATAL" || error.severity == "PANIC" || PQstatus(handle) == CONNECTION_BAD
      guard isFatal else {
        if conversation.failure == nil { conversation.failure = error }
        return
      }
      throw breakDown(
        statement: conversation.statement, outcome: conversation.outcomeWhenLost,
        message: error.message, sqlState: error.sqlState)
    default: break
    }
  }

  /// Sends what a COPY takes in; a server that fails meanwhile says so afterwards.
  private func sendCopy(_ conversation: inout Conversation) throws {
    let connection = try live()
    let data = conversation.copying ?? []
    conversation.copying = nil
    var start = 0
    while start < data.count {
      let count = min(Self.copyPiece, data.count - start)
      let sent = data.withUnsafeBytes { bytes in
        PQputCopyData(
          connection, bytes.baseAddress?.advanced(by: start).assumingMemoryBound(to: CChar.self), Int32(count))
      }
      guard sent >= 0 else { throw breakDown(statement: conversation.statement, outcome: conversation.outcomeWhenLost) }
      if sent == 1 { start += count }
      // Flushed piece by piece: libpq would hold all of it once more otherwise.
      guard try flushCopy(connection, &conversation) else { return }
    }
    guard PQputCopyEnd(connection, nil) >= 0 else {
      throw breakDown(statement: conversation.statement, outcome: conversation.outcomeWhenLost)
    }
  }

  private static let copyPiece = 1 << 18

  /// Waits until what was queued is on its way; false once the COPY was given up, of which the server will tell.
  private func flushCopy(_ connection: OpaquePointer, _ conversation: inout Conversation) throws -> Bool {
    while PQflush(connection) == 1 {
      let reason = wait(for: POLLIN | POLLOUT, conversation.limits)
      switch reason {
      case .ready(let events):
        if events & ~POLLOUT != 0, PQconsumeInput(connection) == 0 {
          throw breakDown(statement: conversation.statement, outcome: conversation.outcomeWhenLost)
        }
      case .timedOut, .cancelled:
        conversation.interruption = (reason, CancelRequest(connection))
        conversation.limits = Limits(deadline: .now + cancelGrace, cancel: nil)
        guard PQputCopyEnd(connection, "given up") >= 0 else {
          throw breakDown(statement: conversation.statement, outcome: conversation.outcomeWhenLost)
        }
        return false
      }
    }
    return true
  }

  /// Turns what came back, and what was asked of the statement meanwhile, into success or an error.
  private func settle(_ conversation: Conversation) throws {
    if let interruption = conversation.interruption {
      // A cancel request that is still on its way would hit the next statement.
      if !interruption.request.wait(for: cancelGrace) {
        close(because: PostgresError(.closed, message: "closed because a cancel request got stuck"))
      }
      // The statement may have finished before the cancel request came; then its result stands.
      guard let failure = conversation.failure, failure.code == .queryCanceled else {
        if let failure = conversation.failure { throw failure }
        return
      }
      if case .cancelled = interruption.reason { throw CancellationError() }
      throw PostgresError(
        .timeout, message: "cancelled after the client's time limit", hint: "raise the statement's timeout",
        statement: conversation.statement)
    }
    if let failure = conversation.failure { throw failure }
  }

  private func giveUp(_ conversation: Conversation) -> PostgresError {
    let message = "the server answered neither the statement nor the cancel request; the connection was closed"
    let error = PostgresError(
      .timeout, outcome: conversation.outcomeWhenLost, message: message, statement: conversation.statement)
    close(because: PostgresError(.closed, message: message))
    return error
  }

  private func lost(_ message: String, statement: String?) -> PostgresError {
    PostgresError(
      .connectionLost, message: "not sent, the connection was gone already: \(message)", statement: statement)
  }

  private func breakDown(
    statement: String?, outcome: PostgresError.Outcome, message: String? = nil, sqlState: String? = nil
  ) -> PostgresError {
    let words = message ?? handle.map { trimmed(String(cString: PQerrorMessage($0))) } ?? "connection lost"
    var error = PostgresError(.connectionLost, outcome: outcome, message: words, statement: statement)
    error.sqlState = sqlState
    close(because: PostgresError(.connectionLost, message: words))
    return error
  }

  // MARK: Between statements

  /// Reads what the server sent unasked; false when it is gone or said that it is going.
  func checkIdle() -> Bool {
    guard let handle, brokenBecause == nil else { return false }
    var poller = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
    // Bounded: a flood of notifications must not keep a statement from being sent.
    for _ in 0..<64 where poll(&poller, 1, 0) > 0 {
      if PQconsumeInput(handle) == 0 {
        _ = breakDown(statement: nil, outcome: .notExecuted)
        return false
      }
      // Makes libpq look at what it read; notifications stay queued for `takeNotifications`.
      _ = PQisBusy(handle)
    }
    if sawFatalNotice {
      _ = breakDown(statement: nil, outcome: .notExecuted, message: "the server ended the session")
      return false
    }
    return true
  }

  func takeNotifications() -> [PostgresNotification] {
    guard let handle else { return [] }
    var taken: [PostgresNotification] = []
    while let notify = PQnotifies(handle) {
      let channel = String(cString: notify.pointee.relname)
      taken.append(PostgresNotification(channel: channel, payload: String(cString: notify.pointee.extra)))
      PQfreemem(notify)
    }
    return taken
  }

  enum TransactionStatus { case idle, open, failed, unknown }

  var transactionStatus: TransactionStatus {
    guard let handle, brokenBecause == nil else { return .unknown }
    return switch PQtransactionStatus(handle) {
    case PQTRANS_IDLE: .idle
    case PQTRANS_INTRANS: .open
    case PQTRANS_INERROR: .failed
    default: .unknown
    }
  }

  // MARK: Waiting

  private enum WaitResult {
    case ready(Int32)
    case timedOut
    case cancelled
  }

  private func wait(for events: Int32, _ limits: Limits) -> WaitResult {
    while true {
      if limits.cancel?.isRaised == true { return .cancelled }
      let left = limits.deadline - .now
      guard left > .zero else { return .timedOut }
      var pollers = [
        pollfd(fd: descriptor, events: Int16(events), revents: 0),
        pollfd(fd: limits.cancel == nil ? -1 : wake.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      let ready = poll(&pollers, 2, Int32(clamping: left.wholeMilliseconds))
      // A wake meant for an earlier statement is swallowed; our own shows in the flag.
      if ready > 0, pollers[1].revents != 0 { wake.clear() }
      if ready > 0, pollers[0].revents != 0 { return .ready(Int32(pollers[0].revents)) }
    }
  }
}

/// Asks the server to stop a statement.
///
/// Works on a thread of its own, because libpq connects to the server for this and waits without limit.
private final class CancelRequest {
  private let done = DispatchSemaphore(value: 0)

  init(_ connection: OpaquePointer) {
    guard let cancel = PQgetCancel(connection) else {
      done.signal()
      return
    }
    let request = SendableCancel(handle: cancel)
    // A serial queue of its own gets a thread at once. A concurrent one would get as many as there are processors, and
    // where servers are gone and all of them wait, only one more about every second.
    DispatchQueue(label: "baton.postgres.cancel").async { [done] in
      var words = [CChar](repeating: 0, count: 256)
      // Whether it was delivered shows in what the statement answers.
      _ = PQcancel(request.handle, &words, Int32(words.count))
      PQfreeCancel(request.handle)
      done.signal()
    }
  }

  func wait(for time: Duration) -> Bool {
    done.wait(timeout: .now() + .milliseconds(Int(time.wholeMilliseconds))) == .success
  }
}

/// A `PGcancel` handed to one other thread.
///
/// Safe: libpq documents that it shares nothing with its `PGconn`.
private struct SendableCancel: @unchecked Sendable {
  let handle: OpaquePointer
}
