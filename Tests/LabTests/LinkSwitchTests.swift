import TestKit
import Testing

@testable import Lab

@Suite struct LinkSwitchTests {
  private let start = ContinuousClock.now

  @Test func handsOnByTheLastByteOfTheDestinationAndNothingElse() {
    var chance = SeededGenerator(seed: 1)
    var links = LinkSwitch(nodes: 2)
    for (from, to) in [(0, 1), (1, 254), (1, 2), (2, 2), (0, 3), (0, 0), (2, 255)] {
      links.take(Self.packet(to: UInt8(to)), from: from, at: start, chance: &chance)
    }
    links.take([0x60] + Self.packet(to: 1).dropFirst(), from: 0, at: start, chance: &chance)
    links.take(Array(Self.packet(to: 1).prefix(19)), from: 0, at: start, chance: &chance)
    #expect(links.takeDue(at: start).map(\.port).sorted() == [0, 1, 2])
    #expect(links.next == nil)
  }

  @Test func takesTheTimeOfEachLinkThatIsCrossedAndKeepsTheOrder() {
    var chance = SeededGenerator(seed: 1)
    var links = LinkSwitch(nodes: 2)
    links.impairments[1].delayMicroseconds = 100_000
    links.impairments[2].delayMicroseconds = 5000
    links.take(Self.packet(to: 2, 1), from: 1, at: start, chance: &chance)
    links.take(Self.packet(to: 254, 2), from: 1, at: start, chance: &chance)
    links.impairments[1] = .none
    // Faster by now, and still behind the one before it.
    links.take(Self.packet(to: 2, 3), from: 1, at: start, chance: &chance)
    #expect(links.takeDue(at: start + .milliseconds(99)).isEmpty)
    #expect(links.next == start + .milliseconds(100))
    #expect(links.takeDue(at: start + .milliseconds(100)).map(\.packet.last) == [2])
    #expect(links.takeDue(at: start + .milliseconds(104)).isEmpty)
    #expect(links.takeDue(at: start + .milliseconds(105)).map(\.packet.last) == [1, 3])
    #expect(links.next == nil)
  }

  @Test func losesWhatIsUnderWayWhenALinkIsCut() {
    var chance = SeededGenerator(seed: 1)
    var links = LinkSwitch(nodes: 2)
    links.impairments[1].delayMicroseconds = 100_000
    links.take(Self.packet(to: 1), from: 0, at: start, chance: &chance)
    links.impairments[1] = .cut
    links.take(Self.packet(to: 254), from: 1, at: start, chance: &chance)
    links.take(Self.packet(to: 254, 9), from: 2, at: start, chance: &chance)
    #expect(links.takeDue(at: start + .seconds(1)).map(\.packet.last) == [9])
    links.impairments[1] = .none
    #expect(links.takeDue(at: start + .seconds(2)).isEmpty)
  }

  @Test func losesAboutAsManyAsItIsToLose() {
    var chance = SeededGenerator(seed: 7)
    var links = LinkSwitch(nodes: 1)
    links.impairments[1].lossPermille = 50
    for _ in 0..<10_000 { links.take(Self.packet(to: 1), from: 0, at: start, chance: &chance) }
    #expect((9400...9600).contains(links.takeDue(at: start).count))
  }

  /// An IPv4 packet as far as a switch looks at it.
  private static func packet(to last: UInt8, _ body: UInt8 = 0) -> [UInt8] {
    [0x45] + [UInt8](repeating: 0, count: 15) + [198, 18, 0, last, body]
  }
}
