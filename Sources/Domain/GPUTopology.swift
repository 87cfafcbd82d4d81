/// How close the GPUs of a node are to each other, as `nvidia-smi topo -m` draws it.
public struct GPUTopology: Hashable, Sendable {
  /// How close two are, by the index of the lower and then of the other; more is closer.
  private var closeness: [Int: [Int: Int]]

  /// Reads the matrix; nil where there is none of two GPUs or more.
  ///
  /// Its first row names the columns, its first column the rows. Columns of network cards, and what is written below it,
  /// are passed over. A word that is not known counts as the longest way.
  public init?(matrix text: String) {
    var rows = text.split(separator: "\n").map(Self.words)[...]
    rows = rows.drop { $0.first.flatMap(Self.index) == nil }
    // `CPU Affinity` and what comes after it are no devices.
    guard let devices = rows.popFirst()?.prefix(while: { $0 != "CPU" }) else { return nil }
    let columns = devices.map(Self.index)
    var affinity: [Int: String] = [:]
    var links: [(Int, Int, String)] = []
    for row in rows {
      guard let gpu = row.first.flatMap(Self.index), row.count > devices.count else { break }
      if row.count > devices.count + 1 { affinity[gpu] = row[devices.count + 1] }
      for (column, word) in zip(columns, row.dropFirst()) {
        if let other = column, gpu < other { links.append((gpu, other, word)) }
      }
    }
    guard !links.isEmpty else { return nil }
    closeness = [:]
    for (gpu, other, word) in links {
      // GPUs of the same processors have the same memory and network cards: worth more than one link of NVLink more.
      let isNear = affinity[gpu] != nil && affinity[gpu] == affinity[other]
      closeness[gpu, default: [:]][other] = 2 * Self.closeness(of: word) + (isNear ? 3 : 0)
    }
  }

  /// Words of a line; `nvidia-smi` underlines some, also for programs.
  private static func words(_ line: Substring) -> [String] {
    var text = ""
    var isEscape = false
    for character in line {
      if character == "\u{1b}" { isEscape = true }
      if !isEscape { text.append(character) }
      if character == "m" { isEscape = false }
    }
    return text.split { $0 == "\t" || $0 == " " || $0 == "\r" }.map(String.init)
  }

  /// `3` of `GPU3`.
  private static func index(_ word: String) -> Int? { word.hasPrefix("GPU") ? Int(word.dropFirst(3)) : nil }

  /// By the legend of `nvidia-smi topo -m`; NVLink is faster than any way over PCI Express, and more links are faster still.
  private static func closeness(of word: String) -> Int {
    switch word {
    case "NODE": 1
    case "PHB": 2
    case "PXB": 3
    case "PIX": 4
    case "PSB": 5
    default: word.hasPrefix("NV") ? 20 + (Int(word.dropFirst(2)) ?? 0) : 0
    }
  }

  private func between(_ one: Int, _ other: Int) -> Int { closeness[min(one, other)]?[max(one, other)] ?? 0 }

  private func between(_ some: [Int], _ others: [Int]) -> Int {
    some.reduce(0) { sum, one in others.reduce(sum) { $0 + between(one, $1) } }
  }
}

// MARK: - Shares

extension GPUTopology {
  /// No node has more; a search for the best shares of more would take long.
  private static let most = 16

  /// `gpus` in an order in which, cut into `count` equal parts, those of a part are as close to each other as can be, and each
  /// part is followed by the one that is closest to it.
  ///
  /// The same for the same topology. As they are where `count` does not divide them.
  public func ordered(_ gpus: [Int], inParts count: Int) -> [Int] {
    guard count > 1, gpus.count >= count, gpus.count.isMultiple(of: count), gpus.count <= Self.most,
      Set(gpus).count == gpus.count
    else { return gpus }
    var left = parts(of: gpus.sorted(), size: gpus.count / count)
    var ordered = [left.removeFirst()]
    while let last = ordered.last, let most = left.map({ between(last, $0) }).max(),
      let next = left.firstIndex(where: { between(last, $0) == most })
    {
      ordered.append(left.remove(at: next))
    }
    return Array(ordered.joined())
  }

  /// Parts of `size` with the greatest sum of closeness within them; of several that are as good, the one whose lowest GPUs are
  /// together.
  private func parts(of gpus: [Int], size: Int) -> [[Int]] {
    guard size > 1 else { return gpus.map { [$0] } }
    var known: [Int: (sum: Int, first: Int)] = [:]
    /// The best sum of `left`, a set of places in `gpus`.
    func best(_ left: Int) -> Int {
      if left == 0 { return 0 }
      if let found = known[left] { return found.sum }
      var choice = (sum: -1, first: 0)
      func choose(_ part: [Int], _ mask: Int, from place: Int, _ inner: Int) {
        guard part.count < size else {
          let sum = inner + best(left & ~mask)
          if sum > choice.sum { choice = (sum, mask) }
          return
        }
        for next in place..<gpus.count where left & (1 << next) != 0 {
          let more = part.reduce(0) { $0 + between(gpus[$1], gpus[next]) }
          choose(part + [next], mask | 1 << next, from: next + 1, inner + more)
        }
      }
      // The lowest has to be in some part.
      let lowest = left.trailingZeroBitCount
      choose([lowest], 1 << lowest, from: lowest + 1, 0)
      known[left] = choice
      return choice.sum
    }
    var left = (1 << gpus.count) - 1
    _ = best(left)
    var parts: [[Int]] = []
    while let choice = known[left] {
      parts.append(gpus.indices.filter { choice.first & (1 << $0) != 0 }.map { gpus[$0] })
      left &= ~choice.first
    }
    return parts
  }
}
