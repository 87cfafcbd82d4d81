/// The elements of an array of scripts, as another scheduler writes them, and as a job file does.
struct ScriptArray: Hashable {
  /// What is wrong with a notation, in a sentence.
  struct Mistake: Error, Hashable {
    var message: String
  }

  /// The most jobs that one file makes, and the largest index.
  static let most = 1000
  static let largest = 1_000_000

  /// Sorted, each once.
  let indices: [Int]
  /// How many may run at once; nil is any number.
  let atMost: Int?
  /// From each index to the next one, as far as that is the same.
  let step: Int
  /// As a job file has it: `0-9%4`.
  let text: String

  /// Reads `0-9`, `1,4,7`, `0-90:10`, any of them with `%4` behind, as `sbatch --array` does.
  init(slurm text: String) throws(Mistake) {
    let halves = text.split(separator: "%", omittingEmptySubsequences: false).map(String.init)
    guard let list = halves.first, halves.count <= 2 else { throw Self.wrong }
    var found: Set<Int> = []
    var step: Int?
    for part in list.split(separator: ",", omittingEmptySubsequences: false) {
      guard let (from, to, by) = Self.bounds(part) else { throw Self.wrong }
      guard (to - from) / by < Self.most else { throw Self.tooMany }
      found.formUnion(stride(from: from, through: to, by: by))
      guard found.count <= Self.most else { throw Self.tooMany }
      step = step ?? by
    }
    indices = found.sorted()
    self.step = step ?? 1
    var limit: Int?
    if halves.count == 2 {
      guard let number = Int(halves[1]), number > 0 else { throw Self.wrong }
      // More at once than there are is no limit.
      limit = number < indices.count ? number : nil
    }
    atMost = limit
    self.text = Self.written(indices) + (limit.map { "%\($0)" } ?? "")
  }

  /// `1` to `count`, as `oarsub --array` makes them.
  init(oar count: String) throws(Mistake) {
    guard let number = Int(count), number > 0 else { throw Mistake(message: "expected a number of jobs") }
    try self.init(slurm: "1-\(number)")
  }

  private static var tooMany: Mistake {
    Mistake(message: "makes more than \(most) jobs, the most that one file can: submit it in parts")
  }

  private static var wrong: Mistake {
    Mistake(message: "expected indices up to \(largest), as in 0-9, 1,4,7, 0-90:10 or 0-99%4")
  }

  private static func bounds(_ part: Substring) -> (from: Int, to: Int, by: Int)? {
    let halves = part.split(separator: ":", omittingEmptySubsequences: false)
    let ends = (halves.first ?? "").split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
    guard halves.count <= 2, (1...2).contains(ends.count), let from = ends.first ?? nil, let to = ends.last ?? nil,
      let by = halves.count == 2 ? Int(halves[1]) : 1, by > 0, 0 <= from, from <= to, to <= largest
    else { return nil }
    return (from, to, by)
  }

  /// Neighbours together: `1-3,7`; with one step for all, `0-90:10`.
  private static func written(_ indices: [Int]) -> String {
    guard let first = indices.first, let last = indices.last else { return "" }
    if indices.count > 2 {
      let by = indices[1] - first
      if by > 1, zip(indices, indices.dropFirst()).allSatisfy({ $1 - $0 == by }) { return "\(first)-\(last):\(by)" }
    }
    var runs: [(from: Int, to: Int)] = []
    for index in indices {
      if let end = runs.last?.to, end + 1 == index {
        runs[runs.count - 1].to = index
      } else {
        runs.append((index, index))
      }
    }
    return runs.map { $0.from == $0.to ? "\($0.from)" : "\($0.from)-\($0.to)" }.joined(separator: ",")
  }
}
