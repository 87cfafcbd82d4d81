import Domain
import TestKit
import Testing

@Suite struct LastSaveTests {
  private func rule() -> LastSave { LastSave(assumed: .seconds(10), grace: .seconds(30)) }

  @Test func whatIsAssumedHoldsUntilSomethingIsMeasured() {
    var rule = rule()
    #expect(rule.lead == .seconds(10) && rule.doneBefore == nil)
    rule.expects(.mebibytes(100))
    #expect(rule.lead == .seconds(10))
    rule.measured(save: .seconds(2), upload: .seconds(2), bytes: .mebibytes(100))
    #expect(rule.lead == .seconds(17) && rule.doneBefore == .seconds(13))
  }

  @Test func noLeadIsShorterThanTheFloor() {
    var rule = rule()
    rule.measured(save: nil, upload: .seconds(0.1), bytes: .mebibytes(1))
    #expect(rule.lead == LastSave.floor)
    #expect(rule.recordReserve == .seconds(0.75))
  }

  @Test func theDearestCountsUntilItIsForgotten() {
    var rule = rule()
    rule.measured(save: .seconds(1), upload: .seconds(11), bytes: .mebibytes(1))
    for _ in 1..<LastSave.memory {
      rule.measured(save: .seconds(1), upload: .seconds(3), bytes: .mebibytes(1))
      #expect(rule.cost == .seconds(12))
    }
    rule.measured(save: .seconds(1), upload: .seconds(3), bytes: .mebibytes(1))
    #expect(rule.cost == .seconds(4))
  }

  @Test func theFewerWereMeasuredTheMoreIsKept() {
    #expect([0, 1, 4, 16].map(LastSave.factor) == [4, 4, 3, 2.5])
    var rule = rule()
    for _ in 0..<4 { rule.measured(save: .seconds(1), upload: .seconds(3), bytes: .mebibytes(1)) }
    #expect(rule.lead == .seconds(13))
  }

  @Test func noMoreIsKeptBesideThanALostSaveCosts() {
    var rule = LastSave(assumed: .seconds(10), grace: .seconds(30), interval: .seconds(5))
    rule.measured(save: .seconds(2), upload: .seconds(18), bytes: .mebibytes(1))
    #expect(rule.lead == .seconds(20 + 5 + 1))
  }

  @Test(arguments: UInt64(1)...50) func isNeverTooShortNorWithoutBound(seed: UInt64) {
    var chance = SeededGenerator(seed: seed)
    let interval = chance.next() % 2 == 0 ? nil : TimeSpan.seconds(Double.random(in: 1...900, using: &chance))
    var rule = LastSave(assumed: .seconds(10), grace: .seconds(60), interval: interval)
    var size = Int64.random(in: 1...4000, using: &chance)
    for _ in 0..<120 {
      if Int.random(in: 0..<5, using: &chance) == 0 { size += Int64.random(in: 0...500, using: &chance) }
      let save = chance.next() % 3 == 0 ? nil : TimeSpan.seconds(Double.random(in: 0...90, using: &chance))
      let upload = TimeSpan.seconds(Double.random(in: 0...300, using: &chance))
      rule.measured(save: save, upload: upload, bytes: .mebibytes(size))
      #expect(rule.cost >= upload + min(save ?? .zero, .seconds(60)), "what was just seen is forecast")
      #expect(rule.lead >= LastSave.floor && rule.lead >= rule.cost + LastSave.margin)
      #expect(rule.lead <= max(LastSave.floor, .seconds(4 * rule.cost.seconds + 0.001) + LastSave.margin))
      if let interval { #expect(rule.lead <= max(LastSave.floor, rule.cost + interval + LastSave.margin)) }
      #expect(rule.recordReserve < rule.lead)
    }
  }

  @Test func costsGrowWithTheSize() {
    var rule = rule()
    rule.measured(save: .seconds(1), upload: .seconds(3), bytes: .mebibytes(100))
    rule.expects(.mebibytes(300))
    #expect(rule.cost == .seconds(12) && rule.uploadCost == .seconds(9))
    // Smaller ones cost no less: they may be large again.
    rule.expects(.mebibytes(10))
    #expect(rule.cost == .seconds(12))
    // However large it is, no save outlasts the grace.
    rule.expects(.mebibytes(100_000))
    #expect(rule.cost == .seconds(30 + 3000))
  }

  @Test func whatOthersMeasuredCountsWhereItIsLonger() {
    var rule = rule()
    rule.isTold(.seconds(4))
    #expect(rule.lead == .seconds(4))
    rule.isTold(.seconds(20))
    #expect(rule.lead == .seconds(20))
    rule.measured(save: .seconds(2), upload: .seconds(2), bytes: .mebibytes(1))
    #expect(rule.lead == .seconds(20))
    rule.measured(save: .seconds(20), upload: .seconds(20), bytes: .mebibytes(1))
    #expect(rule.lead > .seconds(40 * 3))
  }

  @Test func anUploadTakesHalfOfTheInterval() {
    var pace = UploadPace(total: .mebibytes(6000), interval: .seconds(600), begun: .seconds(50))
    #expect(pace.rate == 20.0 * 1_048_576)
    #expect(pace.pause(at: .seconds(50)) == .zero)
    for _ in 0..<10 { pace.sends(64 << 20) }
    #expect(pace.pause(at: .seconds(60)) == .seconds(22))
    #expect(pace.pause(at: .seconds(100)) < .zero)
    #expect(UploadPace(total: .mebibytes(1), interval: .hours(1), begun: .zero).rate == UploadPace.slowest)
  }

  @Test(arguments: UInt64(1)...20) func aPaceIsKeptAndIsThroughInTime(seed: UInt64) {
    var chance = SeededGenerator(seed: seed)
    let total = Int64.random(in: 1...20_000, using: &chance) << 20
    let interval = TimeSpan.seconds(Double.random(in: 10...2000, using: &chance))
    var pace = UploadPace(total: ByteCount(total), interval: interval, begun: .seconds(7))
    var (now, sent) = (TimeSpan.seconds(7), Int64(0))
    while sent < total {
      // What is sent takes its own time, too.
      now = now + max(.zero, pace.pause(at: now)) + .seconds(Double.random(in: 0...0.2, using: &chance))
      #expect(Double(sent) <= pace.rate * (now - .seconds(7)).seconds + 1000)
      let bytes = min(64 << 20, total - sent)
      pace.sends(bytes)
      sent += bytes
    }
    #expect((now - .seconds(7)).seconds <= interval.seconds / 2 + 0.2 * Double(total >> 26) + 0.2)
    #expect(pace.rate >= UploadPace.slowest)
  }
}
