import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct LineageTests {
  @Test func keepsWhereAVersionIsReadWhatItWasMadeFromAndWho() async throws {
    try await StoreFixture.with { f in
      let first = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version
      #expect(first.origin == nil && first.parent == nil && first.pack == nil)
      #expect(first.addedBy == "user:ada")
      var request = NewDatasetVersion.test(f.project, "digits", "2")
      request.origin = "s3://photos/digits/"
      request.parent = DatasetParent(version: first.id, changes: ManifestChanges(new: 3, changed: 2, gone: 1))
      let second = try await f.store.addDatasetVersion(request, by: f.actor).version
      #expect(second.origin == "s3://photos/digits/")
      #expect(second.parent == request.parent)
    }
  }

  @Test func aVersionIsPackedOnce() async throws {
    try await StoreFixture.with { f in
      let version = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version
      let pack = DatasetPack(key: "datasets/x.pack.json", shards: 3, size: .mebibytes(7))
      #expect(try await f.store.setPack(pack, of: version, by: f.actor) == .done(version.id))
      let packed = try await f.store.datasetVersion(version.id)
      #expect(packed.pack == pack && packed.packed?.by == "user:ada")
      #expect(packed.contentID == version.contentID)
      let other = DatasetPack(key: "other", shards: 1, size: .zero)
      #expect(try await f.store.setPack(other, of: version, by: .admin) == .stale)
      #expect(try await f.store.datasetVersion(version.id) == packed)
    }
  }

  @Test func oneAtATimePacksAVersion() async throws {
    try await StoreFixture.with { f in
      let one = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version.id
      let two = try await f.store.addDatasetVersion(.test(f.project, "digits", "2"), by: f.actor).version.id
      let result = try await f.store.packing(one) {
        let again = try await f.store.packing(one) { true }
        let other = try await f.store.packing(two) { true }
        return [again, other]
      }
      #expect(result == [nil, true])
      #expect(try await f.store.packing(one) { true } == true)
    }
  }

  @Test func tellsWhichJobsUsedAVersion() async throws {
    try await StoreFixture.with { f in
      let version = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version.id
      var jobs: [JobID] = []
      for number in 1...3 {
        jobs.append(try await f.job("train-\(number)") { $0.data = [DataRequest(name: "digits")] })
      }
      let uses = try await f.store.jobs(using: [version], limit: 2)
      #expect(uses[version]?.map(\.job) == [jobs[2], jobs[1]])
      #expect(uses[version]?.first?.user == "ada" && uses[version]?.first?.name == "train-3")
    }
  }

  @Test func keepsWhatIsWantedOnALease() async throws {
    try await StoreFixture.with { f in
      let version = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version
      let lease = try await f.lease("week", [f.node("n1")])
      #expect(try await f.store.wantedContent(on: lease.id) == [])
      for _ in 1...2 { try await f.store.wantDataset(version, on: lease.id, by: f.actor) }
      #expect(try await f.store.wantedContent(on: lease.id) == [version.contentID])
      try await f.store.unwantDatasets([version], on: [lease.id], by: f.actor)
      #expect(try await f.store.wantedContent(on: lease.id) == [])
      let actions = try await f.store.events(EventFilter(), limit: 10).map(\.action)
      #expect(actions.filter { $0 == "dataset.stage" }.count == 1)
      #expect(actions.filter { $0 == "dataset.evict" }.count == 1)
    }
  }
}

@Suite(.timeLimit(.minutes(5))) struct HoldingTests {
  /// Two projects have the same content, and one node holds it.
  @Test func whatANodeHoldsIsWhatItSays() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let other = try await f.store.ensureProject("other")
      let mine = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version
      let theirs = try await f.store.addDatasetVersion(.test(other, "numbers", "1"), by: f.actor).version
      let gone = try await f.store.addDatasetVersion(.test(f.project, "digits", "2"), by: f.actor).version
      _ = try await f.store.setReplica(node: node, version: gone.id, state: .verified, by: f.epoch)
      let unknown = String(repeating: "f", count: 64)

      let changed = try await f.hold(node, verified: [mine.contentID, unknown], unverified: [])
      #expect(changed == .done(3))
      #expect(try await f.replicas() == [mine.id, theirs.id])
      let again = try await f.hold(node, verified: [mine.contentID], unverified: [])
      #expect(again == .done(0))

      // Found damaged; the node only says that it is not whole.
      _ = try await f.store.setReplica(node: node, version: mine.id, state: .corrupt, by: f.epoch)
      _ = try await f.hold(node, verified: [], unverified: [mine.contentID])
      let states = try await f.store.replicas(of: [mine.id, theirs.id])
      #expect(states[mine.id]?.map(\.state) == [.corrupt])
      #expect(states[theirs.id]?.map(\.state) == [.staging])
      #expect(try await f.replicas() == [])

      _ = try await f.hold(node, verified: [mine.contentID], unverified: [])
      #expect(try await f.replicas() == [mine.id, theirs.id])
      #expect(try await f.store.removeReplicas(node: node, contentID: mine.contentID, by: f.epoch) == .done(2))
      #expect(try await f.replicas() == [])
    }
  }

  /// The node was asked, then its copy was found damaged, or removed, or its lease ended; then its answer comes.
  @Test func aProbeThatWasAskedBeforeAChangeSaysNothing() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let version = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version
      let lease = try await f.lease("week", [node])
      let job = try await f.job()
      let changes: [() async throws -> Void] = [
        { _ = try await f.store.setReplica(node: node, version: version.id, state: .corrupt, by: f.epoch) },
        { _ = try await f.store.removeReplicas(node: node, contentID: version.contentID, by: f.epoch) },
        { _ = try await f.store.removeReplica(node: node, version: version.id, by: f.epoch) },
        {
          _ = try await f.store.recordStagedAhead(
            [version.id], on: node, for: job, in: lease.id, bytes: .zero, took: .zero, by: f.epoch)
        },
        {
          try await f.expire(lease.id)
          _ = try await f.store.terminateDueLeases(by: f.epoch)
        },
      ]
      for change in changes {
        let asked = try await f.store.node(node).replicasRevision
        try await change()
        let before = try await f.store.replicas(of: [version.id])
        let found = try await f.store.setHoldings(
          node: node, verified: before.isEmpty ? [version.contentID] : [], unverified: [], since: asked, by: f.epoch)
        #expect(found == .stale)
        #expect(try await f.store.replicas(of: [version.id]) == before)
      }
      #expect(try await f.hold(node, verified: [version.contentID], unverified: []) == .done(1))
    }
  }

  @Test func aControllerWhoseTurnIsOverSaysNothingOfANode() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let version = try await f.store.addDatasetVersion(.test(f.project, "digits", "1"), by: f.actor).version
      let next = try await f.store.takeControl(holder: "next", patience: .zero)
      _ = try #require(next.value)
      #expect(try await f.hold(node, verified: [version.contentID], unverified: []) == .stale)
      #expect(try await f.store.removeReplicas(node: node, contentID: version.contentID, by: f.epoch) == .stale)
    }
  }
}
