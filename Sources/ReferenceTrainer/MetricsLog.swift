import Glibc

/// Appends metric values to Baton's file of JSON lines; with no file it does nothing.
///
/// Each line is one `write` to a file opened for appending, so a reader never sees half a line followed by
/// another one. Only rank 0 has one.
final class MetricsLog {
  private let path: String
  private let descriptor: Int32
  private let now: () -> Double

  /// Opens `path` for appending; an empty path means no log.
  ///
  /// - Parameter now: seconds since 1970.
  init(path: String, now: @escaping () -> Double) throws(TrainerError) {
    self.path = path
    self.now = now
    guard !path.isEmpty else {
      descriptor = -1
      return
    }
    descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .system(.writeFailed, "cannot open the metrics file \(path)", errno: errno) }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
  }

  /// Appends one value of a completed step; its text reads back as exactly the same number.
  ///
  /// - Precondition: `value` is finite, as JSON knows no other numbers.
  func append(_ metric: String, _ value: Double, step: Int, epoch: Int) throws(TrainerError) {
    precondition(value.isFinite)
    guard descriptor >= 0 else { return }
    let time = (now() * 1000).rounded() / 1000
    let line = #"{"step":\#(step),"metric":"\#(metric)","value":\#(value),"epoch":\#(epoch),"time":\#(time)}"#
    try append(Array(line.utf8))
  }

  /// Tells what was loaded of the checkpoint of `step`.
  func append(loaded ingredients: Ingredients, step: Int) throws(TrainerError) {
    guard descriptor >= 0 else { return }
    try append(try ingredients.line(step: step))
  }

  private func append(_ line: [UInt8]) throws(TrainerError) {
    let failure = (line + [UInt8(ascii: "\n")]).withUnsafeBytes { writeAll(descriptor, $0) }
    guard failure == 0 else { throw .system(.writeFailed, "cannot write to \(path)", errno: failure) }
  }

  /// Returns once every line is on the disk.
  func synchronize() throws(TrainerError) {
    guard descriptor >= 0 else { return }
    // A pipe or a terminal has nothing to bring to a disk.
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS else {
      throw .system(.writeFailed, "cannot bring \(path) to the disk", errno: errno)
    }
  }
}
