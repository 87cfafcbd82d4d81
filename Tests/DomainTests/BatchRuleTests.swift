import Domain
import Testing

@Suite struct BatchRuleTests {
  @Test(arguments: [(512, 2), (512, 3), (7, 7), (10, 4), (1, 1)])
  func partsOfAGlobalBatchAddUpAndDifferByOneAtMost(size: Int, ranks: Int) throws {
    let rule = BatchRule(keep: .global, size: size)
    let parts = (0..<ranks).map { rule.local(rank: $0, of: ranks) }
    #expect(parts.reduce(0, +) == size && rule.global(ranks: ranks) == size)
    #expect(parts == parts.sorted(by: >))
    #expect(try #require(parts.first) - #require(parts.last) <= 1)
  }

  @Test func aLocalBatchStaysAndTheGlobalOneGrows() {
    let rule = BatchRule(keep: .local, size: 32)
    #expect([2, 8].map { rule.local(rank: 1, of: $0) } == [32, 32])
    #expect([2, 8].map { rule.global(ranks: $0) } == [64, 256])
  }

  @Test func tellsARankWhatItsOwnPartIs() {
    #expect(
      BatchRule(keep: .global, size: 10).variables(rank: 3, of: 4)
        == ["BATON_BATCH_KEEP": "global", "BATON_BATCH_GLOBAL": "10", "BATON_BATCH_LOCAL": "2"])
  }
}
