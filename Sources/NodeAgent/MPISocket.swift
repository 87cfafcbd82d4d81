import CLinux
import Dispatch
import Glibc
import ObjectStorage
import Wire

/// What Open MPI's processes on this node ask the supervisor for.
enum MPIRequest: Hashable, Sendable, Codable {
  /// A daemon on the node at `host`; `shellText` is what a remote shell would be told there.
  case daemon(host: String, shellText: String)
  /// Rank `rank`, with what its daemon tells it. Answered when it has ended, and not where it failed.
  case rank(Int, variables: [String: String])
}

/// The socket through which they ask, in the attempt's folder; each on a connection that lasts until it is answered.
enum MPISocket {
  private static let name = "mpi.sock"

  /// Serves requests, each on a thread of its own, for as long as the process lives.
  static func serve(
    _ attempt: AttemptFolder, _ handle: @escaping @Sendable (MPIRequest) -> AgentReply
  ) throws(SystemError) {
    let server = Server(listener: try ControlSocket.listen(attempt, name))
    DispatchQueue(label: "baton.mpi").async { server.run(handle) }
  }

  /// Asks the supervisor of the attempt in the folder at `path`, and waits as long as it takes.
  static func ask(_ request: MPIRequest, at path: String) throws -> AgentReply {
    let socket = try ControlSocket.connect(to: path, name)
    try Disk.write(try Codec.line(request), to: socket, path: path)
    return try Codec.decode(AgentReply.self, try ControlSocket.readLine(socket.raw))
  }

  private final class Server: Sendable {
    private let listener: Descriptor

    init(listener: consuming Descriptor) { self.listener = listener }

    func run(_ handle: @escaping @Sendable (MPIRequest) -> AgentReply) {
      while true {
        let raw = accept4(listener.raw, nil, nil, O_CLOEXEC)
        if raw < 0 {
          if errno == EINTR || errno == ECONNABORTED { continue }
          return
        }
        DispatchQueue(label: "baton.mpi.client").async { Self.answer(Descriptor(owning: raw), handle) }
      }
    }

    private static func answer(_ client: consuming Descriptor, _ handle: @Sendable (MPIRequest) -> AgentReply) {
      do {
        let request = try Codec.decode(MPIRequest.self, try ControlSocket.readLine(client.raw))
        try Disk.write(try Codec.line(handle(request)), to: client, path: "the socket of Open MPI")
      } catch {
        complain("mpi: \(error)")
      }
    }
  }
}
