import Domain
import Testing

@Suite struct LastSaveTests {
  private func rule() -> LastSave { LastSave(assumed: .seconds(10), grace: .seconds(30)) }

  @Test func whatIsAssumedHoldsUntilSomethingIsMeasured() {
    var rule = rule()
    #expect(rule.lead == .seconds(10) && rule.doneBefore == nil)
    rule.expects(.mebibytes(100))
    #expect(rule.lead == .seconds(10))
    rule.measured(save: .seconds(2), upload: .seconds(2), bytes: .mebibytes(100))
    #expect(rule.lead == .seconds(6) && rule.doneBefore == .seconds(2))
  }

  @Test func noLeadIsShorterThanTheFloor() {
    var rule = rule()
    rule.measured(save: nil, upload: .seconds(0.1), bytes: .mebibytes(1))
    #expect(rule.lead == LastSave.floor)
    #expect(rule.recordReserve == .seconds(0.75))
  }

  @Test func oneSlowSaveInTwentyIsForecast() {
    var rule = rule()
    for _ in 0..<38 { rule.measured(save: .seconds(1), upload: .seconds(3), bytes: .mebibytes(1)) }
    #expect(rule.lead == .seconds(6))
    for _ in 0..<2 { rule.measured(save: .seconds(1), upload: .seconds(11), bytes: .mebibytes(1)) }
    #expect(rule.lead == .seconds(6))
    rule.measured(save: .seconds(1), upload: .seconds(11), bytes: .mebibytes(1))
    #expect(rule.lead == .seconds(16))
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
    #expect(rule.lead == .seconds(51))
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
}
