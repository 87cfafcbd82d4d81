import Domain
import Testing
import Wire

@testable import Daemon

@Suite struct ArtifactListTests {
  @Test func ofEachPathAndNodeTheLastAttemptCounts() {
    func view(_ path: String, _ node: Int, _ attempt: Int) -> ArtifactView {
      ArtifactView(path: path, bytes: .zero, attempt: attempt, nodeRank: node)
    }
    let all = [view("a", 0, 1), view("a", 0, 3), view("a", 1, 2), view("b", 0, 2)]
    #expect(ArtifactRoutes.newest(all) == [view("a", 0, 3), view("a", 1, 2), view("b", 0, 2)])
    #expect(ArtifactRoutes.newest([]).isEmpty)
  }
}
