/// Writes fields of a Protocol Buffers message, as far as TensorBoard's need it (protobuf.dev, "Encoding").
struct ProtobufWriter {
  private(set) var bytes: [UInt8] = []

  /// A `double`.
  mutating func add(_ field: Int, _ value: Double) {
    key(field, 1)
    append(value.bitPattern)
  }

  /// A `float`.
  mutating func add(_ field: Int, _ value: Float) {
    key(field, 5)
    append(value.bitPattern)
  }

  /// An `int64`.
  mutating func add(_ field: Int, _ value: Int64) {
    key(field, 0)
    variable(UInt64(bitPattern: value))
  }

  /// A `string`, or a message that was written.
  mutating func add(_ field: Int, _ value: some Collection<UInt8>) {
    key(field, 2)
    variable(UInt64(value.count))
    bytes += value
  }

  private mutating func key(_ field: Int, _ wireType: Int) { variable(UInt64(field << 3 | wireType)) }

  private mutating func variable(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func append(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
  }
}
