import Testing

@testable import Daemon

@Suite struct BellTests {
  @Test(.timeLimit(.minutes(5))) func aRingBeforeTheSleepIsNotLost() async {
    let bell = Bell()
    bell.ring()
    await bell.sleep(atMost: .seconds(3600))
  }

  @Test(.timeLimit(.minutes(5))) func aRingWakesTheSleeper() async {
    let bell = Bell()
    async let sleeping: Void = bell.sleep(atMost: .seconds(3600))
    bell.ring()
    await sleeping
  }

  @Test(.timeLimit(.minutes(5))) func sleepEndsByItself() async {
    await Bell().sleep(atMost: .milliseconds(1))
  }

  @Test(.timeLimit(.minutes(5))) func cancellingEndsTheSleep() async {
    let bell = Bell()
    let task = Task { await bell.sleep(atMost: .seconds(3600)) }
    task.cancel()
    await task.value
  }
}
