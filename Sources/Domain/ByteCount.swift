/// An amount of data in bytes; never negative by construction from outside, clamped at zero in subtraction.
public struct ByteCount: Hashable, Sendable, Comparable, Codable {
  /// The amount in bytes.
  public let bytes: Int64

  /// An amount of `bytes`; below zero counts as zero.
  public init(_ bytes: Int64) { self.bytes = max(0, bytes) }

  /// Nothing.
  public static let zero = ByteCount(0)

  /// `count` binary megabytes (2^20 bytes).
  public static func mebibytes(_ count: Int64) -> ByteCount { ByteCount(count << 20) }

  /// `count` binary gigabytes (2^30 bytes).
  public static func gibibytes(_ count: Int64) -> ByteCount { ByteCount(count << 30) }

  /// Orders by amount.
  public static func < (left: Self, right: Self) -> Bool { left.bytes < right.bytes }

  /// The sum, at most `Int64.max`.
  public static func + (left: Self, right: Self) -> Self {
    let (sum, overflow) = left.bytes.addingReportingOverflow(right.bytes)
    return ByteCount(overflow ? Int64.max : sum)
  }

  /// The difference, at least nothing.
  public static func - (left: Self, right: Self) -> Self { ByteCount(left.bytes - right.bytes) }

  /// Reads the number of bytes.
  public init(from decoder: any Decoder) throws {
    self.init(try decoder.singleValueContainer().decode(Int64.self))
  }

  /// Writes the number of bytes.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(bytes)
  }

  /// Reads `500`, `10KiB`, `1.5GB`, `2 TiB`: powers of 1024 with an `i`, of 1000 without; nil for anything else.
  public init?(parsing text: String) {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard let value = Double(digits), value >= 0 else { return nil }
    let factors: [String: Double] = [
      "": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 1024, "MIB": 1_048_576,
      "GIB": 1_073_741_824, "TIB": 1_099_511_627_776,
    ]
    let unit = text.dropFirst(digits.count)
    guard unit != " ", let factor = factors[(unit.first == " " ? unit.dropFirst() : unit).uppercased()] else {
      return nil
    }
    let total = value * factor
    guard total < 9e18 else { return nil }
    self.init(Int64(total.rounded()))
  }
}

extension ByteCount: CustomStringConvertible {
  /// Three digits and a binary unit, four below the next unit: `512 B`, `1.50 GiB`, `1023 MiB`.
  public var description: String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    if bytes < 1024 { return "\(bytes) B" }
    var value = Double(bytes) / 1024
    var unit = 0
    // 1023.5 would be shown as 1024.
    while value >= 1023.5, unit < units.count - 1 {
      value /= 1024
      unit += 1
    }
    // Judged after rounding, so that 9.996 becomes 10.0 and not 10.00.
    let hundredths = Int64((value * 100).rounded())
    if hundredths < 1000 {
      let tail = hundredths % 100
      return "\(hundredths / 100).\(tail < 10 ? "0" : "")\(tail) \(units[unit])"
    }
    let tenths = Int64((value * 10).rounded())
    if tenths < 1000 { return "\(tenths / 10).\(tenths % 10) \(units[unit])" }
    return "\(Int64(value.rounded())) \(units[unit])"
  }
}
