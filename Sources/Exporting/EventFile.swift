public import Domain

/// What a TensorBoard event file holds: TFRecords of `tensorflow.Event` messages (tensorflow/core/util/event.proto).
public enum EventFile {
  /// The name of a file that begins at `start`: TensorBoard looks for the word in the middle, and orders by the number.
  public static func name(beginning start: Timestamp) -> String {
    let seconds = String(max(start.microseconds / 1_000_000, 0))
    return "events.out.tfevents." + String(repeating: "0", count: max(0, 10 - seconds.count)) + seconds + ".baton"
  }

  /// The record that every file begins with.
  public static func beginning(at start: Timestamp) -> [UInt8] {
    var event = ProtobufWriter()
    event.add(1, start.secondsSinceEpoch)
    event.add(3, "brain.Event:2".utf8)
    return record(event.bytes)
  }

  /// The record of one value of a metric; TensorBoard keeps 32 bits of it.
  public static func scalar(_ metric: String, step: Int, _ value: Double, at time: Timestamp) -> [UInt8] {
    var scalar = ProtobufWriter()
    scalar.add(1, metric.utf8)
    scalar.add(2, Float(value))
    var summary = ProtobufWriter()
    summary.add(1, scalar.bytes)
    var event = ProtobufWriter()
    event.add(1, time.secondsSinceEpoch)
    event.add(2, Int64(step))
    event.add(5, summary.bytes)
    return record(event.bytes)
  }

  /// A TFRecord: length, its checksum, data, its checksum; all numbers little-endian.
  static func record(_ data: [UInt8]) -> [UInt8] {
    let length = littleEndian(UInt64(data.count))
    return length + littleEndian(CRC32C.masked(length)) + data + littleEndian(CRC32C.masked(data))
  }

  private static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}
