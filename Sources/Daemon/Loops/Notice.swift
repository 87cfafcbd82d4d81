import Wire

/// Something that each of an attempt's nodes has to be told, and which of them were.
struct Notice<Text: Equatable & Sendable>: Sendable {
  /// What they have to be told; nil for nothing yet.
  private(set) var text: Text?
  private var told: Set<Int> = []

  /// From now on it is this; what is new has every node told again.
  mutating func says(_ text: Text) {
    guard self.text != text else { return }
    self.text = text
    told = []
  }

  /// Those of `ranks` that were not told yet.
  func untold(of ranks: some Sequence<Int>) -> [Int] { ranks.filter { !told.contains($0) } }

  /// These took it.
  mutating func wereTold(_ ranks: some Sequence<Int>) { told.formUnion(ranks) }
}

/// How people, clocks and failures want an attempt to end, and which of its nodes were told.
struct StopLedger: Sendable {
  private var notice = Notice<ControlCommand>()

  /// What is wanted; nil while it may run.
  var wanted: ControlCommand? { notice.text }

  /// Only a harder end takes the place of one that was wanted before, and has every node told again: supervisors act
  /// on the first cause, whatever comes after it.
  mutating func wants(_ command: ControlCommand) {
    switch (wanted, command) {
    case (nil, _), (.stop, .kill): notice.says(command)
    default: return
    }
  }

  /// Those of `ranks` that were not told yet.
  func untold(of ranks: some Sequence<Int>) -> [Int] { notice.untold(of: ranks) }

  /// These took it.
  mutating func wereTold(_ ranks: some Sequence<Int>) { notice.wereTold(ranks) }
}
