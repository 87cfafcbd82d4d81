import CLinux
import Glibc
import ObjectStorage

/// Ports that nobody uses, kept that way until the ranks are to listen on them.
///
/// While they are kept, the kernel gives them to nobody who asks for any port. Who asks for exactly one of them may get
/// it: nothing can be done about that.
final class FreePorts {
  /// The ports, all different.
  let numbers: [Int]
  private var sockets: [Int32]

  /// Finds and keeps `count` ports.
  init(_ count: Int) throws(SystemError) {
    var sockets: [Int32] = []
    var numbers: [Int] = []
    do throws(SystemError) {
      for _ in 0..<count {
        let (socket, number) = try Self.bound()
        sockets.append(socket)
        numbers.append(number)
      }
    } catch {
      for socket in sockets { close(socket) }
      throw error
    }
    self.sockets = sockets
    self.numbers = numbers
  }

  /// Gives them up: from now on anybody may listen there.
  func release() {
    for socket in sockets { close(socket) }
    sockets = []
  }

  deinit { release() }

  private static func bound() throws(SystemError) -> (socket: Int32, number: Int) {
    let raw = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    if raw < 0 { throw SystemError("cannot make", "a socket", errno: errno) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(raw, $0, size) == 0 ? getsockname(raw, $0, &size) : -1
      }
    }
    guard code == 0 else {
      let reason = errno
      close(raw)
      throw SystemError("cannot find", "a free port", errno: reason)
    }
    return (raw, Int(UInt16(bigEndian: address.sin_port)))
  }
}
