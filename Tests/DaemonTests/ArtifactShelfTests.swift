import Domain
import Foundation
import Hummingbird
import ObjectStorage
import Testing
import Wire

@testable import Daemon

@Suite struct ArtifactShelfTests {
  private static let run = RunID(7)

  /// A store with what nodes left, as attempt, node and path; and a log, which is none.
  private func withStore(
    _ files: [(attempt: Int, node: Int, path: String)], _ body: (FileObjectStore) async throws -> Void
  ) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("baton-shelf-\(UUID().uuidString)")
    defer {
      do {
        try FileManager.default.removeItem(at: folder)
      } catch {
        Issue.record(error)
      }
    }
    let store = try FileObjectStore.creating(root: folder.path)
    for file in files {
      let record = ObjectLayout.attemptRecord(run: Self.run, number: file.attempt, nodeRank: file.node)
      try await store.put(ObjectLayout.artifact(record: record, path: file.path), from: .bytes([1]))
      try await store.put(ObjectLayout.log(record: record, rank: 0), from: .bytes([1]))
    }
    try await body(store)
  }

  private func words(_ glance: ArtifactShelf.Glance) -> [String] {
    glance.items.map { "\($0.path) \($0.attempt) \($0.nodeRank)" }
  }

  @Test func ofEachPathAndNodeTheNewestIsSeen() async throws {
    try await withStore([(1, 0, "a"), (1, 1, "a"), (2, 0, "a"), (10, 0, "b/c")]) { store in
      let all = try await ArtifactShelf.look(at: Self.run, attempts: [1, 2, 10], in: store)
      #expect(all.isWhole && words(all) == ["a 2 0", "a 1 1", "b/c 10 0"])
      // In more than one request it is the same.
      let limits = ArtifactShelf.Limits(objects: 2, requests: 50)
      #expect(try await ArtifactShelf.look(at: Self.run, attempts: [1, 2, 10], in: store, within: limits) == all)
    }
  }

  @Test func ofVeryManyTheNewestAttemptsAreSeen() async throws {
    try await withStore([(1, 0, "old"), (9, 0, "same"), (10, 0, "same"), (10, 0, "new")]) { store in
      let limits = ArtifactShelf.Limits(objects: 2, requests: 2)
      let glance = try await ArtifactShelf.look(at: Self.run, attempts: [1, 9, 10], in: store, within: limits)
      #expect(!glance.isWhole && words(glance) == ["new 10 0", "same 10 0"])
    }
  }

  @Test func isAskedAgainOnceAnAttemptHasEnded() async throws {
    try await withStore([(1, 0, "a")]) { store in
      let shelf = ArtifactShelf()
      var run = RunView(
        id: Self.run, job: Self.job, attempts: [Self.attempt(1)], checkpoints: [], metrics: [],
        provenance: RunProvenance(jobFile: "", source: SourceProvenance(), datasets: [], seed: 1, nodes: []),
        stepsRedone: 0)
      #expect(words(await shelf.glance(at: run, in: store)) == ["a 1 0"])
      let key = ObjectLayout.artifact(
        record: ObjectLayout.attemptRecord(run: Self.run, number: 1, nodeRank: 0), path: "b")
      try await store.put(key, from: .bytes([1, 2]))
      #expect(words(await shelf.glance(at: run, in: store)) == ["a 1 0"])
      run.attempts[0].state = .ended
      #expect(words(await shelf.glance(at: run, in: store)) == ["a 1 0", "b 1 0"])
    }
  }

  @Test func aStoreThatIsAwayIsAProblemAndNoFailure() async throws {
    let run = RunView(
      id: Self.run, job: Self.job, attempts: [], checkpoints: [], metrics: [],
      provenance: RunProvenance(jobFile: "", source: SourceProvenance(), datasets: [], seed: 1, nodes: []),
      stepsRedone: 0)
    let glance = await ArtifactShelf().glance(at: run, in: FileObjectStore(root: "/nowhere/at/all"))
    #expect(glance.items.isEmpty && glance.problem?.contains("/nowhere") == true, "\(glance)")
  }

  private static let now = Timestamp(microseconds: 0)

  private static var job: JobView {
    JobView(
      id: JobID(7), name: "a", project: "p", user: "u", state: .running, reason: "", reasonDetail: nil, priority: 50,
      nodes: 1, submittedAt: now, startedAt: nil, endedAt: nil, exitCode: nil, attempt: nil, checkpointStep: nil,
      checkpointAt: nil, lastStep: nil, staging: nil)
  }

  private static func attempt(_ number: Int) -> AttemptView {
    AttemptView(
      id: AttemptID(1), number: number, lease: LeaseID(1), leaseName: "l", leaseEnd: now, state: .running,
      outcome: nil, detail: nil, nodes: [], createdAt: now, runningAt: nil, endedAt: nil, resumedFromStep: nil)
  }
}

@Suite struct DownloadTests {
  @Test func aFileIsKeptAndNeverRun() {
    let response = Response.download("figures/page.html", length: 3) { _ in }
    #expect(response.headers[.contentType] == "application/octet-stream")
    #expect(response.headers[.xContentTypeOptions] == "nosniff")
    #expect(response.headers[.contentSecurityPolicy] == "default-src 'none'; sandbox")
    #expect(
      response.headers[.contentDisposition] == "attachment; filename=\"page.html\"; filename*=UTF-8''page.html")
    #expect(response.headers[.contentLength] == "3" && response.headers[.cacheControl] == "no-store")
  }

  @Test func noNameGetsOutOfItsPlace() {
    #expect(
      Response.disposition(ofFileAt: "a/\"; filename=evil\r\nSet-Cookie: x.html")
        == "attachment; filename=\"___filename_evil__Set-Cookie__x.html\"; "
        + "filename*=UTF-8''%22%3B%20filename%3Devil%0D%0ASet-Cookie%3A%20x.html")
    #expect(Response.disposition(ofFileAt: "\u{E9}").hasSuffix("filename=\"_\"; filename*=UTF-8''%C3%A9"))
  }
}
