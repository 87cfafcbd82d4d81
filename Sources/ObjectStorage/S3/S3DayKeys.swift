public import Domain
public import Wire

/// The keys that sign S3 requests during a lease, one for each UTC day of it.
///
/// A day's key is what SigV4 derives from secret, day, region and service: with it a node signs requests of that day and
/// no other, and cannot get back to the secret. It is good until the day's end, not the lease's, and stores allow for
/// clocks that are a quarter of an hour off.
public enum S3DayKeys {
  /// The keys of all days between `from` and `until`.
  ///
  /// A lease that is longer than `most` days gets the first ones only.
  public static func derive(
    secret: String, region: String, from: Timestamp, until: Timestamp, most: Int = 400
  ) -> [S3Access.DayKey] {
    let first = from.microseconds / 86_400_000_000
    let last = max(first, until.microseconds / 86_400_000_000)
    return (first...min(last, first + Int64(most) - 1)).map { number in
      let day = HTTPDate.day(number * 86_400)
      let key = SigV4.dayKey(secret: secret, day: day, region: region)
      return S3Access.DayKey(day: day, key: key.hexadecimal)
    }
  }

  /// The bytes of a key; nil where it is not 64 hexadecimal digits.
  static func bytes(_ hex: String) -> [UInt8]? {
    guard Checksum.isHex(hex, length: 64) else { return nil }
    let digits = Array(hex.utf8).map { $0 < 0x3a ? $0 - 0x30 : $0 - 0x57 }
    return stride(from: 0, to: 64, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
