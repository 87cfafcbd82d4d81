import Domain
import HTTPTypes
import Store
import Testing
import Wire

@testable import Daemon

@Suite struct CheckpointRouteTests {
  private func access(_ method: HTTPRequest.Method, _ path: String) throws -> Route.Access {
    try #require(API.routes.first { $0.method == method && $0.path == path }).access
  }

  @Test func onlyReadingIsForViewers() throws {
    for path in ["/jobs/{job}/checkpoints", "/checkpoints/{checkpoint}", "/checkpoints/{checkpoint}/files"] {
      guard case .viewer = try access(.get, path) else {
        Issue.record("\(path) is not for viewers")
        continue
      }
    }
    for path in ["pin", "unpin", "verify"].map({ "/checkpoints/{checkpoint}/\($0)" }) + [
      "/jobs/{job}/checkpoints/prune"
    ] {
      guard case .user = try access(.post, path) else {
        Issue.record("\(path) is not for users")
        continue
      }
    }
  }

  @Test func keepsWhatIsPinnedNeededOrNotThere() {
    let since = Timestamp(microseconds: 0)
    let person = PinView(run: nil, by: "user:ada", note: "figure 3", since: since)
    let run = PinView(run: RunID(18), by: "user:bob", note: "", since: since)
    #expect(
      PruneRefusal.reason(.durable, isHeld: true, pins: [person, run])
        == "user:ada pinned it (figure 3); `baton checkpoint unpin` first")
    #expect(
      PruneRefusal.reason(.corrupt, isHeld: false, pins: [run])?.hasPrefix("user:bob pinned it for run-18;") == true)
    #expect(PruneRefusal.reason(.durable, isHeld: true, pins: []) == "the job would resume from it, or does")
    for state in [CheckpointState.local, .uploading, .pruned] {
      #expect(PruneRefusal.reason(state, isHeld: false, pins: []) != nil)
    }
    for state in [CheckpointState.durable, .corrupt] {
      #expect(PruneRefusal.reason(state, isHeld: false, pins: []) == nil)
    }
  }

  @Test func aSecondSweepIsToldThatOneIsUnderWay() {
    let failure = APIFailure(sweepUnderWay: nil)
    #expect(failure.code == .wrongState)
    #expect(failure.message.hasPrefix("a sweep is under way: nothing was done"))
  }
}
