import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct DatasetTests {
  @Test func theSameContentIsTheSameVersion() async throws {
    try await StoreFixture.with { f in
      let (first, isNew) = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor)
      #expect(isNew && first.version == 1)
      let again = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor)
      #expect(!again.isNew && again.version == first)
      let second = try await f.store.addDatasetVersion(.test(f.project, "digits", "2"), by: f.actor).version
      #expect(second.version == 2)
      #expect(try await f.store.datasets(project: f.project) == [second, first])
      #expect(try await f.store.resolveDataset("digits", project: f.project) == second)
      #expect(try await f.store.resolveDataset("digits", version: 1, project: f.project) == first)
      #expect(try await f.store.resolveDataset("digits", version: 3, project: f.project) == nil)
      let other = try await f.store.ensureProject("other")
      #expect(try await f.store.resolveDataset("digits", project: other) == nil)
      #expect(try await f.store.datasetVersion(first.id) == first)
      await #expect(throws: StoreError.badName(kind: "dataset", name: "a/b")) {
        _ = try await f.store.addDatasetVersion(.test(f.project, "a/b", "1"), by: f.actor)
      }
    }
  }

  @Test func manyThatAddAtOnceAreNumberedOneByOne() async throws {
    try await StoreFixture.with { f in
      let numbers = try await withThrowingTaskGroup(of: Int.self) { group in
        for content in "01234567" {
          group.addTask {
            try await f.store.addDatasetVersion(.test(f.project, "digits", content), by: f.actor).version.version
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(numbers.sorted() == Array(1...8))
    }
  }

  @Test func remembersWhichNodeHoldsWhat() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let version = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version.id
      _ = try await f.store.setReplica(node: node, version: version, state: .staging, by: f.epoch)
      #expect(try await f.replicas() == [])
      _ = try await f.store.setReplica(node: node, version: version, state: .verified, by: f.epoch)
      #expect(try await f.replicas() == [version])
      _ = try await f.store.setReplica(node: node, version: version, state: .corrupt, by: f.epoch)
      #expect(try await f.replicas() == [])
      #expect(try await f.store.removeReplica(node: node, version: version, by: f.epoch) == .done(node))
      #expect(try await f.store.removeReplica(node: node, version: version, by: f.epoch) == .stale)
    }
  }
}
