/// Floats at an address that does not move, zeroed at the start and freed with the object.
///
/// Not `Sendable`: one rank owns it and uses it from one thread.
final class FloatBuffer {
  let base: UnsafeMutablePointer<Float>
  let count: Int

  init(count: Int) {
    precondition(count >= 1)
    self.count = count
    base = .allocate(capacity: count)
    base.initialize(repeating: 0, count: count)
  }

  deinit {
    base.deinitialize(count: count)
    base.deallocate()
  }

  /// A copy of the values, in order.
  var values: [Float] {
    Array(UnsafeBufferPointer(start: base, count: count))
  }

  /// Whether no value is infinite or no number.
  ///
  /// Looks at bits, so that the loop can be done for many values at a time.
  var isFinite: Bool {
    var largest: UInt32 = 0
    for index in 0..<count { largest = max(largest, base[index].bitPattern & 0x7FFF_FFFF) }
    return largest < Float.infinity.bitPattern
  }

  /// Replaces `values.count` values, the first of them at `start`.
  ///
  /// - Precondition: they fit.
  func assign(_ values: [Float], from start: Int = 0) {
    precondition(start >= 0 && start + values.count <= count)
    values.withUnsafeBufferPointer { values in
      if let first = values.baseAddress { (base + start).update(from: first, count: values.count) }
    }
  }

  func zero() {
    base.update(repeating: 0, count: count)
  }
}
