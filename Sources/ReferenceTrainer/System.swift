import Glibc

/// The words for an `errno`; safe to call from any thread.
func systemMessage(_ number: Int32) -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  // Glibc's Swift import is the XSI flavour, which fills the buffer and returns a status.
  guard strerror_r(number, &buffer, buffer.count) == 0 else { return "error \(number)" }
  return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Writes all of `bytes`, going on after interrupts and short writes.
///
/// Returns 0, or the `errno`.
func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int32 {
  var rest = bytes
  while let base = rest.baseAddress, !rest.isEmpty {
    let written = write(descriptor, base, rest.count)
    if written < 0 {
      if errno == EINTR { continue }
      return errno
    }
    rest = UnsafeRawBufferPointer(rebasing: rest[written...])
  }
  return 0
}

/// Reads a whole file.
///
/// Throws the `errno` of the first call that failed.
func readFile(_ path: String) throws(SystemFailure) -> [UInt8] {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw SystemFailure(number: errno) }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0 else { throw SystemFailure(number: errno) }
  var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
  var filled = 0
  while filled < bytes.count {
    let got = bytes.withUnsafeMutableBytes { buffer in
      read(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
    }
    if got < 0 {
      if errno == EINTR { continue }
      throw SystemFailure(number: errno)
    }
    if got == 0 { break }
    filled += got
  }
  bytes.removeLast(bytes.count - filled)
  return bytes
}

/// An `errno`, to be put into the words of the caller.
struct SystemFailure: Error {
  let number: Int32
}

/// One line for a person on standard output or error, in a single write so that ranks do not mix.
func say(_ line: String, to descriptor: Int32 = STDOUT_FILENO) {
  Array((line + "\n").utf8).withUnsafeBytes { bytes in
    // A closed terminal is no reason to stop training.
    _ = writeAll(descriptor, bytes)
  }
}

/// Runs `body` on a thread of its own, which ends with it.
///
/// - Throws: `.peerLost` where the system gives no thread: another machine may.
func startThread(_ body: @escaping @Sendable () -> Void) throws(TrainerError) {
  var thread = pthread_t()
  let box = Unmanaged.passRetained(ThreadBody(body))
  let number = pthread_create(
    &thread, nil,
    { raw in
      if let raw { Unmanaged<ThreadBody>.fromOpaque(raw).takeRetainedValue().body() }
      return nil
    }, box.toOpaque())
  guard number == 0 else {
    box.release()
    throw .system(.peerLost, "cannot start a thread", errno: number)
  }
  pthread_detach(thread)
}

private final class ThreadBody: Sendable {
  let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
