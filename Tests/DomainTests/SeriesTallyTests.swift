import Domain
import Testing

/// What two series have in common, value by value, and added up part by part.
@Suite struct SeriesTallyTests {
  @Test func countsWhatIsEqualWhatDiffersAndWhatIsMissing() {
    let tally = SeriesTally([1: 1, 2: 2, 3: 4, 5: 5], [0: 7, 1: 1, 2: 3, 3: 2])
    #expect(tally.compared == 3 && tally.equal == 1 && tally.onlyLeft == 1 && tally.onlyRight == 1)
    #expect(tally.leftCount == 4 && tally.rightCount == 4)
    #expect(tally.firstDifference == .init(step: 2, left: 2, right: 3) && tally.parting == tally.firstDifference)
    #expect(tally.firstOnlyLeft == .init(step: 5, left: 5, right: nil))
    #expect(tally.largestDifference == 2 && tally.largestRelative == 0.5)
    #expect(SeriesTally([1: 1, 2: 2], [2: 3]).parting == .init(step: 1, left: 1, right: nil))
    #expect(SeriesTally([:], [:]).parting == nil && SeriesTally([:], [1: 1]).parting == nil)
  }

  @Test func everyBitCountsButOfWhatIsNoNumber() {
    #expect(SeriesTally([1: 0], [1: -0.0]).equal == 0)
    #expect(SeriesTally([1: 0], [1: -0.0]).largestDifference == 0)
    #expect(SeriesTally([1: .nan], [1: -.nan]).equal == 1)
    #expect(SeriesTally([1: .infinity], [1: .infinity]).equal == 1)
  }

  @Test(arguments: [(1, .nan), (.nan, 1), (1, .infinity), (-.infinity, .infinity)] as [(Double, Double)])
  func whatIsNoNumberIsNeverClose(left: Double, right: Double) {
    let tally = SeriesTally([1: left, 2: 1], [1: right, 2: 1.5])
    #expect(tally.largestDifference == .infinity && tally.largestRelative == .infinity && tally.equal == 0)
    let verdict = ResumeEvidence(original: [1: left], replays: [[1: right], [1: right]], tolerance: 1).verdict()
    #expect(verdict.outcome == .diverged)
  }

  @Test func partsAddUpToTheWhole() {
    let left: [Int64: Double] = [1: 1, 2: 2, 3: 3, 5: 9, 6: 1]
    let right: [Int64: Double] = [1: 1, 3: 4, 4: 4, 5: 8, 7: 1]
    for cut in 0...8 as ClosedRange<Int64> {
      var sum = SeriesTally(left.filter { $0.key < cut }, right.filter { $0.key < cut })
      sum.add(SeriesTally(left.filter { $0.key >= cut }, right.filter { $0.key >= cut }))
      #expect(sum == SeriesTally(left, right), "\(cut)")
    }
  }
}
