import Testing

@testable import Lab

struct AlarmTests {
  @Test(.timeLimit(.minutes(1))) func aRestThatEndedEarlyWakesNobodyLater() async {
    let alarm = Alarm()
    var rings = alarm.rings.makeAsyncIterator()
    // A notification after every look, each of which begins a rest.
    var rests: [Int] = []
    for _ in 0..<10 {
      alarm.ring()
      await rings.next()
      rests.append(alarm.set())
    }
    #expect(rests.map { alarm.expire($0) } == Array(repeating: false, count: 9) + [true])
    await rings.next()
  }
}
