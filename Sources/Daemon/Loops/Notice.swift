import Wire

/// Something that each of an attempt's nodes has to be told, and which of them were.
struct Notice<Text: Equatable & Sendable>: Sendable {
  /// What they have to be told; nil for nothing yet.
  private(set) var text: Text?
  /// Counts the texts.
  private(set) var edition = 0
  private var told: Set<Int> = []

  /// From now on it is this; what is new has every node told again.
  mutating func says(_ text: Text) {
    guard self.text != text else { return }
    self.text = text
    edition += 1
    told = []
  }

  /// Those of `ranks` that were not told yet; none where there is nothing to tell.
  func untold(of ranks: some Sequence<Int>) -> [Int] { text == nil ? [] : ranks.filter { !told.contains($0) } }

  /// The node of `rank` took the text of `edition`, which counts unless there is a newer one.
  mutating func wasTold(_ rank: Int, edition: Int) {
    if edition == self.edition { told.insert(rank) }
  }
}

/// How people, clocks and failures want an attempt to end, and which of its nodes were told.
struct StopLedger: Sendable {
  private var notice = Notice<ControlCommand>()

  /// Counts what was wanted.
  var edition: Int { notice.edition }

  /// What is wanted; nil while it may run.
  var wanted: ControlCommand? { notice.text }

  /// Only a harder end takes the place of one that was wanted before, and has every node told again: supervisors act
  /// on the first cause, whatever comes after it.
  ///
  /// That a chief is gone is harder: those who served it wait for that.
  mutating func wants(_ command: ControlCommand) {
    switch (wanted, command) {
    case (nil, _), (.stop, .kill), (.stop, .stop(.chiefGone)): notice.says(command)
    default: return
    }
  }

  /// Those of `ranks` that were not told yet.
  func untold(of ranks: some Sequence<Int>) -> [Int] { notice.untold(of: ranks) }

  /// The node of `rank` took what was wanted then.
  mutating func wasTold(_ rank: Int, edition: Int) { notice.wasTold(rank, edition: edition) }
}
