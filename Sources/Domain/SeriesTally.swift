/// What two series of values by step have in common, and where they part.
///
/// Two values are equal if all their bits are; what is not a number is equal to what is none either.
public struct SeriesTally: Hashable, Sendable {
  /// A step at which the left one has a value, and the right one not the same.
  public struct Difference: Hashable, Sendable {
    /// The step.
    public var step: Int64
    /// What the one has there.
    public var left: Double
    /// What the other has; nil for nothing.
    public var right: Double?

    /// At `step`, `left` against `right`.
    public init(step: Int64, left: Double, right: Double?) {
      self.step = step
      self.left = left
      self.right = right
    }
  }

  /// Steps at which both have a value.
  public var compared = 0
  /// Those at which the values are equal.
  public var equal = 0
  /// Steps at which only the left one has a value.
  public var onlyLeft = 0
  /// Steps at which only the right one has.
  public var onlyRight = 0
  /// The first step at which both have a value, and not the same.
  public var firstDifference: Difference?
  /// The first step at which only the left one has a value.
  public var firstOnlyLeft: Difference?
  /// The largest difference of two values; infinite where one of them is infinite or no number.
  public var largestDifference = 0.0
  /// The largest difference as a share of the greater of two values; likewise.
  public var largestRelative = 0.0

  /// Of nothing.
  public init() {}

  /// How many values the left one has.
  public var leftCount: Int { compared + onlyLeft }
  /// How many values the right one has.
  public var rightCount: Int { compared + onlyRight }
  /// The first step at which the right one has not what the left one has.
  public var parting: Difference? {
    guard let differs = firstDifference, let missing = firstOnlyLeft else { return firstDifference ?? firstOnlyLeft }
    return differs.step < missing.step ? differs : missing
  }

  /// Takes in what lies behind.
  public mutating func add(_ next: SeriesTally) {
    compared += next.compared
    equal += next.equal
    onlyLeft += next.onlyLeft
    onlyRight += next.onlyRight
    firstDifference = firstDifference ?? next.firstDifference
    firstOnlyLeft = firstOnlyLeft ?? next.firstOnlyLeft
    largestDifference = max(largestDifference, next.largestDifference)
    largestRelative = max(largestRelative, next.largestRelative)
  }

  /// Takes in the values of one step, the next one that either has.
  public mutating func add(step: Int64, left: Double?, right: Double?) {
    guard let left, let right else {
      if let left {
        onlyLeft += 1
        firstOnlyLeft = firstOnlyLeft ?? Difference(step: step, left: left, right: nil)
      } else if right != nil {
        onlyRight += 1
      }
      return
    }
    compared += 1
    if left.bitPattern == right.bitPattern || (left.isNaN && right.isNaN) {
      equal += 1
      return
    }
    firstDifference = firstDifference ?? Difference(step: step, left: left, right: right)
    let difference = left.isFinite && right.isFinite ? (left - right).magnitude : .infinity
    largestDifference = max(largestDifference, difference)
    if difference > 0 {
      let scale = difference.isFinite ? max(left.magnitude, right.magnitude) : 1
      largestRelative = max(largestRelative, difference / scale)
    }
  }

  /// Of two series in memory.
  public init(_ left: [Int64: Double], _ right: [Int64: Double]) {
    for step in Set(left.keys).union(right.keys).sorted() { add(step: step, left: left[step], right: right[step]) }
  }
}
