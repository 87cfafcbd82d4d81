import Domain
import Wire

/// A state as a coloured word.
///
/// The colour is never the only thing that tells.
struct Badge {
  let word: String
  let tone: String

  private init(_ word: String, _ tone: Tone) {
    self.word = word
    self.tone = tone.rawValue
  }

  enum Tone: String {
    /// It works as it should.
    case good
    /// Something is being done.
    case busy
    /// It waits.
    case waiting
    /// A person might look.
    case warning
    /// A person has to look.
    case bad
    /// Over.
    case quiet
  }

  init(_ state: JobState) {
    let tone: Tone =
      switch state {
      case .running, .completed: .good
      case .staging, .launching, .checkpointing: .busy
      case .pending, .leaseWait: .waiting
      case .held: .warning
      case .failed, .timeout: .bad
      case .cancelled: .quiet
      }
    self.init(state.rawValue, tone)
  }

  /// What came of a proof; nil is under way.
  init(_ verdict: ResumeVerdict?) {
    switch verdict?.outcome {
    case nil: self.init("UNDER WAY", .busy)
    case .equal: self.init("BITWISE EQUAL", .good)
    case .close: self.init("WITHIN TOLERANCE", .good)
    case .diverged: self.init("DIVERGED", .bad)
    case .failed: self.init("NOT PROVED", .warning)
    }
  }

  init(_ state: LeaseState) {
    let tone: Tone =
      switch state {
      case .pending: .waiting
      case .active: .good
      case .ending: .warning
      case .terminated: .quiet
      case .error: .bad
      }
    self.init(state.rawValue, tone)
  }

  init(_ state: NodeState) {
    let tone: Tone =
      switch state {
      case .alive: .good
      case .suspect: .warning
      case .dead: .bad
      case .absent: .quiet
      }
    self.init(state.rawValue, tone)
  }

  init(_ state: CheckpointState) {
    let tone: Tone =
      switch state {
      case .local: .waiting
      case .uploading: .busy
      case .durable: .good
      case .corrupt: .bad
      case .pruned: .quiet
      }
    self.init(state.rawValue, tone)
  }

  /// Where a copy of a data set stands: a word of the API.
  init(copy state: String) {
    let tone: Tone =
      switch state {
      case "VERIFIED": .good
      case "STAGING": .busy
      default: .bad
      }
    self.init(state, tone)
  }

  /// Where an attempt stands, or how it ended.
  init(_ attempt: AttemptView) {
    guard attempt.state == .ended, let outcome = attempt.outcome else {
      self.init(attempt.state.rawValue, attempt.state == .running ? .good : attempt.state == .ended ? .quiet : .busy)
      return
    }
    let tone: Tone =
      switch outcome {
      case .completed: .good
      case .saved, .leaseEnded: .waiting
      case .elsewhere: .warning
      case .failed, .timeout, .stagingFailed, .launchFailed, .lost: .bad
      case .cancelled: .quiet
      }
    self.init(outcome.rawValue, tone)
  }

  static let drained = Badge("DRAINED", .warning)
  static let degraded = Badge("DEGRADED", .warning)
}

/// A moment, readable and exact: `21 Nov 18:00:05`, always in UTC, and the whole of it for programs and on hovering.
struct Moment {
  let iso: String
  let text: String

  init(_ moment: Timestamp) {
    iso = moment.iso8601
    text = "\(Calendar.day(moment)) \(Calendar.clock(moment, seconds: true))"
  }
}

/// The time left to a moment; the script counts it down between refreshes.
struct Countdown {
  let iso: String
  let text: String

  init?(to end: Timestamp, from now: Timestamp) {
    guard end > now else { return nil }
    iso = end.iso8601
    text = rough(end - now).description
  }
}

/// How long ago, for people: `4m 10s`.
func age(_ moment: Timestamp, at now: Timestamp) -> String { rough(max(.zero, now - moment)).description }

/// To the second.
func rough(_ span: TimeSpan) -> TimeSpan { .seconds((span.seconds).rounded()) }

/// Parts of a moment in UTC.
enum Calendar {
  /// `21 Nov`.
  static func day(_ moment: Timestamp) -> String {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let parts = moment.iso8601.prefix { $0 != "T" }.split(separator: "-")
    guard parts.count >= 3, let month = Int(parts[parts.count - 2]), months.indices.contains(month - 1),
      let day = Int(parts[parts.count - 1])
    else { return moment.iso8601 }
    return "\(day) \(months[month - 1])"
  }

  /// `18:00`, or `18:00:05`.
  static func clock(_ moment: Timestamp, seconds: Bool) -> String {
    let clock = moment.iso8601.drop { $0 != "T" }.dropFirst()
    return String(clock.prefix(seconds ? 8 : 5))
  }
}

/// A whole number with thin gaps: `1 234 567`.
func grouped(_ number: Int) -> String {
  let digits = Array(String(number.magnitude))
  var result = number < 0 ? "-" : ""
  for (place, digit) in digits.enumerated() {
    if place > 0, (digits.count - place) % 3 == 0 { result += "\u{202F}" }
    result.append(digit)
  }
  return result
}

/// A value of a metric with at most six digits that count.
func shown(_ value: Double) -> String {
  guard value.isFinite else { return "\(value)" }
  guard value != 0 else { return "0" }
  let magnitude = value.magnitude
  guard magnitude >= 1e-4, magnitude < 1e7 else { return scientific(value) }
  var digits = 5
  var limit = 10.0
  while magnitude >= limit, digits > 0 {
    limit *= 10
    digits -= 1
  }
  return decimal(value, digits: digits)
}

/// `value` with at most `digits` behind the point, and no zeros at the end.
func decimal(_ value: Double, digits: Int) -> String {
  var factor = 1.0
  for _ in 0..<digits { factor *= 10 }
  let scaled = (value.magnitude * factor).rounded()
  guard scaled < 9e15 else { return scientific(value) }
  let whole = Int64(scaled)
  var tail = String(whole % Int64(factor))
  tail = digits == 0 ? "" : String(repeating: "0", count: digits - tail.count) + tail
  while tail.last == "0" { tail.removeLast() }
  let sign = value < 0 && whole != 0 ? "-" : ""
  return sign + "\(whole / Int64(factor))" + (tail.isEmpty ? "" : "." + tail)
}

private func scientific(_ value: Double) -> String {
  var mantissa = value
  var exponent = 0
  while mantissa.magnitude >= 10 {
    mantissa /= 10
    exponent += 1
  }
  while mantissa.magnitude < 1 {
    mantissa *= 10
    exponent -= 1
  }
  return decimal(mantissa, digits: 3) + "e\(exponent)"
}

/// A bar that is filled to some part.
struct Meter {
  let svg: String

  /// `part` of 1, named for those who do not see it.
  ///
  /// `tone` is a `Badge.Tone`.
  init(_ part: Double, label: String, tone: Badge.Tone = .busy) {
    let width = part.isNaN ? 0 : min(max(part, 0), 1) * 100
    var markup = Markup()
    markup.element(
      "svg",
      ["class": "meter", "viewBox": "0 0 100 6", "preserveAspectRatio": "none", "role": "img", "aria-label": label]
    ) { bar in
      bar.element("rect", ["class": "meter-room", "width": "100", "height": "6"])
      bar.element("rect", ["class": "meter-part tone-\(tone.rawValue)", "width": coordinate(width), "height": "6"])
    }
    svg = markup.text
  }
}

/// Says that there is nothing, and what to do about it.
struct Empty {
  let title: String
  let advice: String
  let command: String?
}
