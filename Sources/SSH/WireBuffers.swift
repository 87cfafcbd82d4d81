import CSSH2
import Glibc

/// A queue of bytes in one piece of memory.
///
/// Not `Sendable`: confined to the actor that owns it.
final class ByteQueue {
  private var memory: UnsafeMutableRawPointer
  private var capacity: Int
  private var head = 0
  private(set) var count = 0

  init(capacity: Int = 16 << 10) {
    self.capacity = capacity
    memory = .allocate(byteCount: capacity, alignment: 16)
  }

  deinit { memory.deallocate() }

  var isEmpty: Bool { count == 0 }
  /// The bytes that wait; valid until the queue changes.
  var readable: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory + head, count: count) }

  func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, !bytes.isEmpty else { return }
    reserve(bytes.count).copyMemory(from: source, byteCount: bytes.count)
    count += bytes.count
  }

  /// Room for `size` more bytes at the end.
  ///
  /// What was written there counts after `commit`.
  func reserve(_ size: Int) -> UnsafeMutableRawPointer {
    if head + count + size > capacity {
      if count + size <= capacity {
        memory.copyMemory(from: memory + head, byteCount: count)
      } else {
        capacity = max(capacity * 2, count + size)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: memory + head, byteCount: count)
        memory.deallocate()
        memory = larger
      }
      head = 0
    }
    return memory + head + count
  }

  func commit(_ size: Int) { count += size }

  func consume(_ size: Int) {
    head += size
    count -= size
    if count == 0 { head = 0 }
  }

  /// All bytes, taken out.
  func takeAll() -> [UInt8] {
    defer { consume(count) }
    return [UInt8](readable)
  }
}

/// What stands between libssh2 and the socket.
///
/// libssh2 sends and receives through these two queues and never touches the socket. Its sends always succeed, and
/// that removes the one thing that makes a non-blocking session with many channels hard: after a partial send
/// libssh2 must be called again with the same packet before anything else may send, or the session breaks
/// (`LIBSSH2_ERROR_BAD_USE`), and window adjustments and key re-exchanges send from inside reads.
/// The price is that whoever writes channel data has to look at `outbound.count` first.
///
/// Not `Sendable`: confined to the actor that owns it; libssh2 calls back on the thread that called it.
final class WireBuffers {
  let inbound = ByteQueue()
  let outbound = ByteQueue()
  /// Where channel reads land first.
  let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
  /// Bytes that libssh2 has taken so far; a change means that packets may have reached any channel.
  private(set) var taken: UInt64 = 0
  /// The first bytes of the server, kept until the handshake is over, to explain a failed one.
  private(set) var greeting: [UInt8] = []
  var keepsGreeting = true {
    didSet { if !keepsGreeting { greeting = [] } }
  }
  /// No byte will come any more.
  var isEnded = false
  /// The session is being torn down: sends vanish.
  var isSevered = false

  deinit { scratch.deallocate() }

  func attach(to session: OpaquePointer) {
    baton_ssh2_set_transport(
      session,
      { _, bytes, length, _, abstract in
        guard let wire = WireBuffers.of(abstract), let bytes else { return -Int(EBADF) }
        if !wire.isSevered { wire.outbound.append(UnsafeRawBufferPointer(start: bytes, count: length)) }
        return length
      },
      { _, buffer, length, _, abstract in
        guard let wire = WireBuffers.of(abstract), let buffer else { return -Int(EBADF) }
        return wire.take(into: UnsafeMutableRawBufferPointer(start: buffer, count: length))
      })
  }

  private static func of(_ abstract: UnsafeMutablePointer<UnsafeMutableRawPointer?>?) -> WireBuffers? {
    abstract?.pointee.map { Unmanaged<WireBuffers>.fromOpaque($0).takeUnretainedValue() }
  }

  private func take(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    guard !inbound.isEmpty else { return isEnded ? 0 : -Int(EAGAIN) }
    let source = inbound.readable
    let size = min(source.count, buffer.count)
    buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<size]))
    if keepsGreeting, greeting.count < 8 << 10 { greeting += source[..<size] }
    inbound.consume(size)
    taken &+= UInt64(size)
    return size
  }
}
