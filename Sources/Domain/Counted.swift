/// `1 node`, `2 nodes`: a number with what it counts.
///
/// `plural` is the word for all numbers but 1; nil is `noun` with an s.
public func counted(_ number: some BinaryInteger, _ noun: String, plural: String? = nil) -> String {
  number == 1 ? "1 \(noun)" : "\(number) \(plural ?? noun + "s")"
}

/// `1 is`, `2 are`: a number with the verb that agrees with it.
public func countedBeing(_ number: some BinaryInteger) -> String {
  number == 1 ? "1 is" : "\(number) are"
}
