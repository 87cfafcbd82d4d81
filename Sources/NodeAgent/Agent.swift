import Dispatch
import Domain
import Glibc
import ObjectStorage
import Wire

/// The agent as a program: `AgentProtocol` lists its verbs.
public enum Agent {
  /// Does what `arguments` say (the program's name first) and returns the exit code.
  ///
  /// 0 when an answer was written, also a refusal, but 1 where `stage` did not bring all or `serve` did not begin; 2 for arguments that make no sense; 1 for all that went wrong,
  /// with a line on standard error.
  public static func main(arguments: [String]) -> Int32 {
    var words = Array(arguments.dropFirst())
    guard !words.isEmpty else { return usage("no verb") }
    let verb = words.removeFirst()
    if verb == "exec-rank" { return RankTrampoline.run(words) }
    if verb == "mpi-daemon" { return MPIVerbs.daemon(words) }
    if verb == "mpi-rank" { return MPIVerbs.rank(words) }
    if verb == "inventory" { return Inventory.run(words) }
    if verb == "version" { return answer { try Codec.line(["protocol": AgentProtocol.version]) } }
    switch Flags.parse(words) {
    case .failure(let error): return usage(error.description)
    case .success(let flags):
      do {
        return try run(verb, flags)
      } catch let error as FlagError {
        return usage(error.description)
      } catch {
        complain("baton-agent \(verb): \(error)")
        return 1
      }
    }
  }

  private static func run(_ verb: String, _ flags: Flags) throws -> Int32 {
    let node = try NodeFolder(making: try flags.text("root"))
    let verbs = Verbs(node: node)
    switch verb {
    case "probe": return answer { try Codec.line(try Probe(node: node).run()) }
    case "start": return answer { try Codec.line(try verbs.start(try inputLine())) }
    case "control":
      let attempt = try flags.attempt()
      return answer { try Codec.line(try verbs.control(attempt, try inputLine())) }
    case "rescue":
      let attempt = try flags.attempt()
      return answer { try Codec.line(try verbs.rescue(attempt, try inputLine())) }
    case "list": return answer { try Codec.line(try verbs.list()) }
    case "purge":
      let attempt = try flags.attempt()
      return answer { try Codec.line(try verbs.purge(attempt)) }
    case "stage": return StageVerb(node: node).run(try inputLine()) ? 0 : 1
    case "serve": return ServeVerb(node: node).run(try inputLine()) ? 0 : 1
    case "evict": return answer { try Codec.line(try ReplicaVerbs(node: node).evict(try inputLine())) }
    case "verify": return answer { try Codec.line(try ReplicaVerbs(node: node).verify(try inputLine())) }
    case "follow":
      var follow = Follow(
        folder: node.attempt(try flags.attempt()), sequence: try flags.number("journal"),
        offset: try flags.number("metrics"))
      try follow.run()
    case "logs":
      var reader = LogReader(
        folder: node.attempt(try flags.attempt()), rank: Int(try flags.number("rank")),
        offset: try flags.number("offset"), follows: flags.has("follow"))
      try reader.run()
    case "prepare": try builder(try flags.attempt(), node).run()
    case "claim": try builder(try flags.attempt(), node).claim()
    case "supervise":
      try supervise(node, node.attempt(try flags.attempt()), receivedAt: try flags.number("received"))
    default: return usage("no verb '\(verb)'")
    }
    return 0
  }

  private static func builder(_ attempt: AttemptID, _ node: NodeFolder) throws -> EnvironmentBuilder {
    let folder = node.attempt(attempt)
    let order = try Codec.decode(AttemptOrder.self, try Disk.readAll(folder.order))
    return EnvironmentBuilder(order: order, node: node, folder: folder)
  }

  private static func supervise(_ node: NodeFolder, _ folder: AttemptFolder, receivedAt: Int64) throws {
    let supervisor = try Supervisor(node: node, folder: folder, receivedAt: BootInstant(microseconds: receivedAt))
    try Disk.write(Array("ok\n".utf8), to: Descriptor(owning: 3), path: "the starter's pipe")
    supervisor.run()
    supervisor.keepLastEntry()
  }

  private static func answer(_ body: () throws -> [UInt8]) -> Int32 {
    do {
      try StandardOutput().write(try body())
      return 0
    } catch {
      complain("baton-agent: \(error)")
      return 1
    }
  }

  private static func usage(_ problem: String) -> Int32 {
    complain(
      """
      baton-agent: \(problem)
      usage: baton-agent probe|start|list|stage|serve|evict|verify --root FOLDER
             baton-agent control|rescue|purge --root FOLDER --attempt N
             baton-agent follow --root FOLDER --attempt N --journal SEQUENCE --metrics OFFSET
             baton-agent logs --root FOLDER --attempt N --rank R --offset BYTES [--follow]
             baton-agent version
      """)
    return 2
  }

  /// One line of standard input.
  static func inputLine() throws(SystemError) -> [UInt8] {
    let raw = dup(0)
    if raw < 0 { throw SystemError("cannot read", "standard input", errno: errno) }
    let input = Descriptor(owning: raw)
    var line: [UInt8] = []
    while !line.contains(UInt8(ascii: "\n")) {
      let piece = try Disk.readPipe(input)
      if piece.isEmpty { break }
      line += piece
      if line.count > 64 << 20 { throw SystemError("too long:", "standard input", errno: EFBIG) }
    }
    return line
  }
}

/// Flags that were not understood.
struct FlagError: Error, Hashable, CustomStringConvertible {
  var description: String
}

/// `--name value` and `--follow`.
struct Flags {
  private var values: [String: String] = [:]

  static func parse(_ words: [String]) -> Result<Flags, FlagError> {
    var flags = Flags()
    var rest = words[...]
    while let word = rest.popFirst() {
      guard word.hasPrefix("--") else { return .failure(FlagError(description: "'\(word)' is not expected here")) }
      let name = String(word.dropFirst(2))
      if name == "follow" {
        flags.values[name] = ""
      } else if let value = rest.popFirst() {
        flags.values[name] = value
      } else {
        return .failure(FlagError(description: "--\(name) needs a value"))
      }
    }
    return .success(flags)
  }

  func has(_ name: String) -> Bool { values[name] != nil }

  func text(_ name: String) throws(FlagError) -> String {
    guard let value = values[name], !value.isEmpty else { throw FlagError(description: "--\(name) is missing") }
    return value
  }

  /// Zero or more.
  func number(_ name: String) throws(FlagError) -> Int64 {
    guard let value = Int64(try text(name)), value >= 0 else {
      throw FlagError(description: "--\(name) is not a number")
    }
    return value
  }

  func attempt() throws(FlagError) -> AttemptID {
    guard let id = AttemptID(text: try text("attempt")) else {
      throw FlagError(description: "--attempt is not a number")
    }
    return id
  }
}
