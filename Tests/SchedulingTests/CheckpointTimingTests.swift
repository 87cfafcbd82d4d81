import Domain
import Scheduling
import TestKit
import Testing

@Suite struct CheckpointTimingTests {
  private func lead(_ samples: [Int]) -> TimeSpan {
    CheckpointTiming.leadTime(
      samples: samples.map { .seconds($0) }, grace: .seconds(30), floor: .seconds(10), margin: .seconds(5))
  }

  @Test func allowsTheWholeGraceWhileNothingIsKnown() { #expect(lead([]) == .seconds(35)) }
  @Test func takesTheLongestOfFew() { #expect(lead([12, 60, 20]) == .seconds(65)) }
  @Test func takesThe95thOfAHundred() { #expect(lead((1...100).shuffled()) == .seconds(100)) }
  @Test func takesThe19thOfTwenty() { #expect(lead(Array(21...40)) == .seconds(44)) }
  @Test func neverGoesBelowTheFloor() { #expect(lead([1, 2, 3]) == .seconds(15)) }

  @Test(arguments: UInt64(0)..<100)
  func leavesAtMostOneInTwentyTooLate(seed: UInt64) {
    var dice = SeededGenerator(seed: seed)
    let samples = (0..<dice.int(1...200)).map { _ in TimeSpan.seconds(dice.int(0...500)) }
    let lead = CheckpointTiming.leadTime(samples: samples, grace: .zero, floor: .zero, margin: .zero)
    #expect(samples.filter { $0 > lead }.count * 20 <= samples.count)
    #expect(samples.contains(lead))
  }
}
