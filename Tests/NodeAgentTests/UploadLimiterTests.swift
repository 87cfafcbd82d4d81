import Domain
import ObjectStorage
import Synchronization
import Testing

@testable import NodeAgent

/// Time goes on only where somebody waits or works.
private final class VirtualTime: Sendable {
  private let elapsed = Mutex<Int64>(0)
  var span: TimeSpan { TimeSpan(microseconds: elapsed.withLock { $0 }) }
  func goesOn(_ span: TimeSpan) { elapsed.withLock { $0 += span.microseconds } }

  func limiter(
    every interval: TimeSpan?, onWait: @escaping @Sendable () throws -> Void = {}
  ) -> UploadLimiter {
    UploadLimiter(interval: interval, now: { BootInstant(microseconds: 1_000_000 + self.span.microseconds) }) { span in
      try onWait()
      self.goesOn(span)
    }
  }
}

@Suite struct UploadLimiterTests {
  private let chunk = Int64(64 << 20)

  @Test func holdsChunksBackToHalfOfTheInterval() async throws {
    let time = VirtualTime()
    let limiter = time.limiter(every: .seconds(64))
    limiter.begins(ByteCount(10 * chunk))
    for count in 0..<10 {
      try await limiter.admit(chunk)
      // 20 MiB a second.
      #expect(abs(time.span.seconds - 3.2 * Double(count)) < 0.001)
    }
    #expect(limiter.isGentle)
    #expect(abs((limiter.paused - time.span).seconds) < 0.001, "nothing was done but wait")
  }

  @Test func holdsNothingBackWithoutASchedule() async throws {
    let time = VirtualTime()
    let limiter = time.limiter(every: nil)
    limiter.begins(ByteCount(100 * chunk))
    for _ in 0..<100 { try await limiter.admit(chunk) }
    #expect(time.span == .zero && limiter.paused == .zero && !limiter.isGentle)
  }

  @Test func whoWaitsHearsOfTheEnd() async throws {
    let time = VirtualTime()
    let waits = Mutex(0)
    let current = Mutex<UploadLimiter?>(nil)
    let limiter = time.limiter(every: .hours(1)) {
      let count = waits.withLock { count in
        count += 1
        return count
      }
      if count == 3 { current.withLock { $0?.release() } }
    }
    current.withLock { $0 = limiter }
    limiter.begins(ByteCount(4 * chunk))
    for _ in 0..<4 { try await limiter.admit(chunk) }
    #expect(waits.withLock { $0 } == 3 && !limiter.isGentle)
    #expect(time.span <= .seconds(0.3))
    // One that begins after that does not hold back, either.
    limiter.begins(ByteCount(4 * chunk))
    for _ in 0..<4 { try await limiter.admit(chunk) }
    #expect(waits.withLock { $0 } == 3)
    current.withLock { $0 = nil }
  }

  @Test func whatIsDoneMeanwhileIsNoPause() async throws {
    let time = VirtualTime()
    let limiter = time.limiter(every: .seconds(64))
    limiter.begins(ByteCount(10 * chunk))
    try await limiter.admit(chunk)
    await limiter.working { time.goesOn(.seconds(1)) }
    #expect(limiter.paused == .zero)
    try await limiter.working { try await limiter.admit(chunk) }
    #expect(abs(time.span.seconds - 3.2) < 0.001)
    #expect(limiter.paused == .zero, "somebody worked while another waited")
    try await limiter.admit(chunk)
    #expect(abs(limiter.paused.seconds - 3.2) < 0.001)
  }

  @Test func isNotWaitedForAfterACancelling() async throws {
    let time = VirtualTime()
    let limiter = time.limiter(every: .seconds(64)) { throw CancellationError() }
    limiter.begins(ByteCount(10 * chunk))
    try await limiter.admit(chunk)
    await #expect(throws: CancellationError.self) { try await limiter.admit(chunk) }
    time.goesOn(.seconds(5))
    #expect(limiter.paused == .zero)
  }
}
