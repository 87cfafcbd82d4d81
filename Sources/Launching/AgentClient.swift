public import Domain
import Foundation
public import SSH
public import Wire

/// The agents of all nodes, over SSH.
///
/// Sessions are kept and shared; the agent is put in place where it is missing.
public struct AgentClient: Sendable {
  /// A command that only looks something up, or hands over an order, is given this long.
  private static let shortTimeout = Duration.seconds(30)
  /// `probe` asks the node's `nvidia-smi`, which can take its time.
  private static let probeTimeout = Duration.seconds(60)
  /// An agent sends no longer frame: lines of metrics have 1 MiB at most, and JSON makes up to six bytes of one.
  static let frameLimit = 16 << 20

  private let pool: SSHPool
  private let pins: PinnedKeys
  private let binary: AgentBinary
  private let placed = PlacedAgents()

  /// Agents reached with the key `identity`, all of the version of `binary`.
  public init(identity: SSHIdentity, binary: AgentBinary, settings: SSHSettings = SSHSettings()) {
    let pins = PinnedKeys()
    self.pins = pins
    self.binary = binary
    pool = SSHPool(settings: settings) { endpoint in
      guard let hostKey = pins.key(of: endpoint) else {
        throw SSHError(.closed, endpoint: endpoint, detail: "no host key is pinned")
      }
      return SSHCredentials(hostKey: hostKey, identity: identity)
    }
  }

  /// Puts the agent on the node if it is not there, or not whole.
  ///
  /// Throws `SSHError`; afterwards the node has either the whole file or none.
  public func ensureAgent(on node: NodeTarget) async throws {
    let path = binary.remotePath(below: node.root)
    if placed.contains(node.id, path) { return }
    try await placed.once(node.id, path) {
      pins.pin(node)
      let present = try await pool.run(["test", "-x", path], on: node.endpoint, timeout: Self.shortTimeout)
      guard !present.status.isSuccess else { return }
      try await pool.withSession(to: node.endpoint) { connection in
        try await connection.upload(bytes: binary.bytes, to: path, mode: 0o755, sha256: binary.sha256)
      }
    }
  }

  /// What the node has, and what is on it.
  ///
  /// Throws `SSHError` and `AgentError`.
  public func probe(_ node: NodeTarget) async throws -> NodeReport {
    try await ask(node, ["probe"], timeout: Self.probeTimeout)
  }

  /// Starts the supervisor of an attempt, or finds that it runs already.
  ///
  /// Throws `AgentError.refused` when the agent will not: an older controller, an older attempt.
  public func start(_ order: AttemptOrder, on node: NodeTarget) async throws {
    try await tell(node, ["start"], order)
  }

  /// Asks something of a living supervisor.
  ///
  /// Throws `AgentError.refused` when it will not, or is gone.
  public func control(_ attempt: AttemptID, _ request: ControlRequest, on node: NodeTarget) async throws {
    try await tell(node, ["control", "--attempt", "\(attempt.rawValue)"], request)
  }

  /// Has what a supervisor that died left on the node stored; `follow` then tells about it until it `ended`.
  ///
  /// Throws `AgentError.refused` where there is nothing to store, or it was tried before.
  public func rescue(_ attempt: AttemptID, _ request: RescueRequest, on node: NodeTarget) async throws {
    try await tell(node, ["rescue", "--attempt", "\(attempt.rawValue)"], request)
  }

  /// The attempts that have a folder on the node.
  public func list(_ node: NodeTarget) async throws -> AttemptList {
    try await ask(node, ["list"], timeout: Self.shortTimeout)
  }

  /// Kills what is left of an attempt, and removes its folder.
  ///
  /// Does nothing where there is none.
  public func purge(_ attempt: AttemptID, on node: NodeTarget) async throws {
    try await tell(node, ["purge", "--attempt", "\(attempt.rawValue)"], Optional<String>.none)
  }

  /// Reads an attempt's journal and metrics from where the caller is, and goes on as they grow.
  ///
  /// Returns when the agent has nothing more to say (`receive` has then had `ended`, `supervisorGone` or
  /// `unknownAttempt`). Throws `SSHError` when the connection is lost: call again with the new position.
  public func follow(
    _ attempt: AttemptID, on node: NodeTarget, afterJournal sequence: Int64, metricsFrom offset: Int64,
    receive: (FollowFrame) async throws -> Void
  ) async throws {
    let words = [
      "follow", "--attempt", "\(attempt.rawValue)", "--journal", "\(sequence)", "--metrics", "\(offset)",
    ]
    var lines = LineSplitter(limit: Self.frameLimit)
    try await stream(node, words) { chunk in
      for line in lines.add(chunk) { try await receive(decode(line, from: node)) }
    }
  }

  /// Streams a rank's log from `offset`; with `follows` until the attempt is over.
  public func logs(
    _ attempt: AttemptID, rank: Int, from offset: Int64, follows: Bool, on node: NodeTarget,
    receive: ([UInt8]) async throws -> Void
  ) async throws {
    var words = ["logs", "--attempt", "\(attempt.rawValue)", "--rank", "\(rank)", "--offset", "\(offset)"]
    if follows { words.append("--follow") }
    try await stream(node, words, receive: receive)
  }

  /// Connects and logs in, if there is no session yet.
  ///
  /// Throws `SSHError`, `.hostKeyChanged` among them.
  public func reach(_ node: NodeTarget) async throws {
    pins.pin(node)
    try await pool.withSession(to: node.endpoint) { _ in }
  }

  /// Ends all sessions.
  public func close() async { await pool.closeAll() }

  private func command(_ node: NodeTarget, _ words: [String]) async throws -> [String] {
    pins.pin(node)
    try await ensureAgent(on: node)
    return [binary.remotePath(below: node.root)] + words + ["--root", node.root]
  }

  private func run(
    _ node: NodeTarget, _ words: [String], stdin: [UInt8], timeout: Duration?
  ) async throws -> [UInt8] {
    var result = try await runOnce(node, words, stdin: stdin, timeout: timeout)
    if Self.notFound.contains(result.status) {
      // The node lost its disk since the agent was put there.
      placed.forget(node.id)
      result = try await runOnce(node, words, stdin: stdin, timeout: timeout)
    }
    guard result.status.isSuccess else {
      let said = result.stderrText.isEmpty ? "\(result.status)" : String(result.stderrText.suffix(500))
      throw AgentError(.failed, node: node.name, detail: said.trimmingCharacters(in: .whitespacesAndNewlines))
    }
    return result.stdout
  }

  private func runOnce(
    _ node: NodeTarget, _ words: [String], stdin: [UInt8], timeout: Duration?
  ) async throws -> ExecResult {
    let argv = try await command(node, words)
    return try await pool.run(argv, on: node.endpoint, stdin: stdin, timeout: timeout)
  }

  /// Begins a command; its input is over at once, or stays open after `stdin` where `keepsInput`.
  func begin(_ node: NodeTarget, _ words: [String], stdin: [UInt8], keepsInput: Bool) async throws -> SSHProcess {
    let argv = try await command(node, words)
    guard keepsInput else { return try await pool.start(argv, on: node.endpoint, stdin: stdin) }
    let process = try await pool.start(argv, on: node.endpoint)
    try await process.write(stdin)
    return process
  }

  /// Streams a command's output, and checks how it ended.
  private func stream(
    _ node: NodeTarget, _ words: [String], receive: ([UInt8]) async throws -> Void
  ) async throws {
    let process = try await begin(node, words, stdin: [], keepsInput: false)
    for try await chunk in process.stdout { try await receive(chunk) }
    try await end(of: process, node, words)
  }

  /// Reads how a command ended whose output was read; throws `AgentError.failed` with what it said where it failed.
  func end(of process: SSHProcess, _ node: NodeTarget, _ words: [String]) async throws {
    var said: [UInt8] = []
    for try await chunk in process.stderr { said = (said + chunk).suffix(500) }
    let status = try await process.exit
    guard status.isSuccess else {
      if Self.notFound.contains(status) { placed.forget(node.id) }
      let text = String(decoding: said, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
      throw AgentError(
        .failed, node: node.name, detail: "'\(words.first ?? "")' ended: \(status)\(text.isEmpty ? "" : ": \(text)")")
    }
  }

  /// What the shell of the login says of a program that is not there, or not executable.
  private static let notFound: Set<ExitStatus> = [.exited(126), .exited(127)]

  func ask<Answer: Decodable>(
    _ node: NodeTarget, _ words: [String], stdin: [UInt8] = [], timeout: Duration?
  ) async throws -> Answer {
    try decode(try await run(node, words, stdin: stdin, timeout: timeout), from: node)
  }

  private func tell(_ node: NodeTarget, _ words: [String], _ message: (some Encodable)?) async throws {
    let input = try message.map { Array(try JSONEncoder().encode($0)) } ?? []
    let output = try await run(node, words, stdin: input, timeout: Self.shortTimeout)
    let reply: AgentReply = try decode(output, from: node)
    if case .refused(let why) = reply { throw AgentError(.refused, node: node.name, detail: why) }
  }

  func decode<Answer: Decodable>(_ bytes: [UInt8], from node: NodeTarget) throws -> Answer {
    do {
      return try JSONDecoder().decode(Answer.self, from: Data(bytes))
    } catch {
      throw AgentError(.garbled, node: node.name, detail: String(decoding: bytes.prefix(200), as: UTF8.self))
    }
  }
}
