/// The indices of a job array, in Slurm's notation: `0-9`, `1,4,7`, `0-90:10`, and `%4` behind for at most four at once.
struct ArrayRange: Hashable, Sendable {
  /// Sorted, each once.
  var indices: [Int]
  /// How many may hold nodes at a time; nil is any number.
  var atMost: Int?

  /// What is wrong with a notation.
  struct Mistake: Error, Hashable {
    var message: String
  }

  /// The largest index.
  static let largest = 1_000_000

  /// Reads a notation.
  init(parsing text: String) throws(Mistake) {
    let halves = text.split(separator: "%", omittingEmptySubsequences: false)
    guard halves.count <= 2 else { throw Mistake(message: "expected one '%' at most, found '\(text)'") }
    if halves.count == 2 {
      guard let number = Int(halves[1]), (1...JobFileMembers.most).contains(number) else {
        throw Mistake(message: "expected a number from 1 to \(JobFileMembers.most) behind '%', found '\(halves[1])'")
      }
      atMost = number
    }
    var found: Set<Int> = []
    for part in halves[0].split(separator: ",", omittingEmptySubsequences: false) {
      let (from, to, step) = try Self.bounds(part)
      guard (to - from) / step < JobFileMembers.most else { throw Self.tooMany((to - from) / step + 1) }
      for index in stride(from: from, through: to, by: step) {
        guard found.insert(index).inserted else { throw Mistake(message: "has the index \(index) twice") }
      }
      guard found.count <= JobFileMembers.most else { throw Self.tooMany(found.count) }
    }
    indices = found.sorted()
  }

  private static func tooMany(_ count: Int) -> Mistake {
    Mistake(message: "makes \(count) jobs; a file makes at most \(JobFileMembers.most)")
  }

  private static func bounds(_ part: Substring) throws(Mistake) -> (from: Int, to: Int, step: Int) {
    let steps = part.split(separator: ":", omittingEmptySubsequences: false)
    let ends = (steps.first ?? "").split(separator: "-", omittingEmptySubsequences: false)
    let numbers = ends.map { Int($0) }
    let step = steps.count == 2 ? Int(steps[1]) : 1
    guard steps.count <= 2, (1...2).contains(numbers.count), let step, step >= 1, let from = numbers.first ?? nil,
      let to = numbers.last ?? nil, from >= 0, to <= largest, steps.count == 1 || numbers.count == 2
    else {
      throw Mistake(message: "expected indices as in 0-9, 1,4,7 or 0-90:10, found '\(part)'")
    }
    guard from <= to else { throw Mistake(message: "'\(part)' begins after its end") }
    return (from, to, step)
  }
}
