import CLinux
import Dispatch
import Glibc
import ObjectStorage
import Synchronization
import Wire

/// Where the supervisor's main thread puts the answer to a request.
final class ReplySlot: Sendable {
  private let reply = Mutex<AgentReply?>(nil)
  private let ready = DispatchSemaphore(value: 0)

  func answer(_ reply: AgentReply) {
    self.reply.withLock { $0 = reply }
    ready.signal()
  }

  func waitAsLongAsItTakes() -> AgentReply {
    ready.wait()
    return reply.withLock { $0 } ?? .refused("the supervisor gave no answer: ask again")
  }

  func wait() -> AgentReply {
    if ready.wait(timeout: .now() + 20) == .timedOut { return .refused("the supervisor is too busy: ask again") }
    return reply.withLock { $0 } ?? .refused("the supervisor gave no answer: ask again")
  }
}

/// The socket in an attempt's folder through which its supervisor is commanded.
enum ControlSocket {
  /// A path that fits into a socket's address, however deep the folder lies.
  private static func address(_ folder: borrowing Descriptor, _ name: String) -> sockaddr_un {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let path = Array("/proc/self/fd/\(folder.raw)/\(name)".utf8)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    return address
  }

  private static func makeSocket() throws(SystemError) -> Descriptor {
    let raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    if raw < 0 { throw SystemError("cannot make", "a socket", errno: errno) }
    return Descriptor(owning: raw)
  }

  /// Serves requests on a thread of its own, one after the other, for as long as the process lives.
  static func serve(
    _ attempt: AttemptFolder, _ handle: @escaping @Sendable (ControlRequest) -> AgentReply
  ) throws(SystemError) {
    let server = Server(listener: try listen(attempt, attempt.control))
    DispatchQueue(label: "baton.control").async { server.run(handle) }
  }

  /// A socket called `name` in the attempt's folder, on which this user's processes may ask.
  static func listen(_ attempt: AttemptFolder, _ name: String) throws(SystemError) -> Descriptor {
    let folder = try Disk.open(attempt.path, O_RDONLY | O_DIRECTORY)
    let listener = try makeSocket()
    try Disk.removeTree("\(attempt.path)/\(name)")
    var address = address(folder, name)
    let before = umask(0o177)
    let bound = withAddress(&address) { bind(listener.raw, $0, $1) }
    umask(before)
    if bound != 0 || Glibc.listen(listener.raw, 128) != 0 {
      throw SystemError("cannot listen in", attempt.path, errno: errno)
    }
    return listener
  }

  /// A connection to the socket called `name` in the folder at `path`.
  static func connect(to path: String, _ name: String) throws(SystemError) -> Descriptor {
    let folder = try Disk.open(path, O_RDONLY | O_DIRECTORY)
    let socket = try makeSocket()
    var address = address(folder, name)
    if withAddress(&address, { Glibc.connect(socket.raw, $0, $1) }) != 0 {
      throw SystemError("cannot reach the supervisor in", path, errno: errno)
    }
    return socket
  }

  /// Sends a request to a living supervisor.
  static func send(_ request: ControlRequest, to attempt: AttemptFolder) throws -> AgentReply {
    let socket = try connect(to: attempt.path, attempt.control)
    setTimeouts(socket.raw, seconds: 30)
    try Disk.write(try Codec.line(request), to: socket, path: attempt.path)
    return try Codec.decode(AgentReply.self, try readLine(socket.raw))
  }

  private static func withAddress<Result>(
    _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }

  fileprivate static func setTimeouts(_ raw: Int32, seconds: Int) {
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    setsockopt(raw, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
  }

  static func readLine(_ raw: Int32) throws(SystemError) -> [UInt8] {
    var line: [UInt8] = []
    while line.last != UInt8(ascii: "\n"), line.count < 1 << 20 {
      let piece = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
        count = max(0, recv(raw, buffer.baseAddress, buffer.count, 0))
      }
      if piece.isEmpty { throw SystemError("cannot read from", "the control socket", errno: ECONNRESET) }
      line += piece
    }
    return line
  }

  private final class Server: Sendable {
    private let listener: Descriptor

    init(listener: consuming Descriptor) { self.listener = listener }

    func run(_ handle: @Sendable (ControlRequest) -> AgentReply) {
      while true {
        let raw = accept4(listener.raw, nil, nil, O_CLOEXEC)
        if raw < 0 {
          if errno == EINTR || errno == ECONNABORTED { continue }
          return
        }
        answer(Descriptor(owning: raw), handle)
      }
    }

    private func answer(_ client: consuming Descriptor, _ handle: @Sendable (ControlRequest) -> AgentReply) {
      setTimeouts(client.raw, seconds: 5)
      do {
        let request = try Codec.decode(ControlRequest.self, try readLine(client.raw))
        try Disk.write(try Codec.line(handle(request)), to: client, path: "the control socket")
      } catch {
        // The peer went away or spoke nonsense; it finds out by the missing answer.
        complain("control: \(error)")
      }
    }
  }
}

/// A line on standard error, which is the supervisor's own log.
func complain(_ text: String) {
  let bytes = Array("\(text)\n".utf8)
  _ = bytes.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}
