import Domain
import Hummingbird
import NIOCore
import ObjectStorage
import Store
import Wire

/// What ranks left to be kept, over HTTP.
enum ArtifactRoutes {
  /// More are not listed.
  private static let most = 100_000
  private static let page = 1000

  static let all: [Route] = [
    Route(
      method: .get, path: "/runs/{run}/artifacts", access: .viewer,
      summary:
        "The files that a run's ranks left to be kept: the newest of each path, or with all=true of each attempt; and what is not kept. With glance=true as far as is known within 3 s, at most 30 s old",
      gives: ArtifactListing.self
    ) { call in
      let run = try await RunRoutes.find(call, "run")
      let store = call.services.store
      if try call.flag("glance") {
        let glance = try await call.services.artifacts.glance(
          at: RunView.build(run, call.services), in: call.services.objects)
        return try await .json(
          ArtifactListing(
            now: store.now(), items: glance.items, missing: MissingArtifacts.all(of: run, store),
            unknown: glance.problem.map { "the object store could not tell: \($0)" }
              ?? (glance.isWhole ? nil : "there are very many")))
      }
      var found = try await artifacts(of: run, call.services.objects)
      if try !call.flag("all") { found = newest(found) }
      return try await .json(
        ArtifactListing(now: store.now(), items: found, missing: MissingArtifacts.all(of: run, store)))
    },
    Route(
      method: .get, path: "/runs/{run}/artifacts/data", access: .viewer,
      summary: "The bytes of the file `path` that the node `node` left in the attempt `attempt`"
    ) { call in
      try await data(call)
    },
  ]

  /// The bytes of what the address names.
  static func data(_ call: Call) async throws -> Response {
    let run = try await RunRoutes.find(call, "run")
    let path = call.query("path") ?? ""
    let number = try call.number("attempt", within: 1...Int(Int32.max), standard: 1)
    let nodeRank = try call.number("node", within: 0...Int(Int32.max), standard: 0)
    let record = ObjectLayout.attemptRecord(run: run, number: number, nodeRank: nodeRank)
    let key = ObjectLayout.artifact(record: record, path: path)
    let objects = call.services.objects
    // A path that leads elsewhere is no artifact, whatever lies there.
    guard CodeArchive.isInside(path), let info = try await objects.head(key) else {
      throw APIFailure(.notFound, "node \(nodeRank) of attempt \(number) of \(run) left no '\(path.prefix(200))'")
    }
    return .download(path, length: info.size) { send in
      // Of another version, that was put in its place meanwhile, the length would be wrong.
      try await objects.get(key, range: nil, ifTag: info.tag) { bytes in await send(ByteBuffer(bytes: bytes)) }
    }
  }

  /// All of a run, by path, node and attempt.
  private static func artifacts(of run: RunID, _ objects: any ObjectStore) async throws -> [ArtifactView] {
    var found: [ArtifactView] = []
    var marker: String?
    repeat {
      let page = try await objects.list(prefix: ObjectLayout.attempts(of: run), after: marker, limit: Self.page)
      found += artifacts(in: page)
      marker = page.next
    } while marker != nil && found.count < most
    return sorted(found)
  }

  /// Those in a stretch of a listing, by path, node and attempt.
  static func artifacts(in page: ObjectPage) -> [ArtifactView] {
    sorted(
      page.entries.compactMap { object in
        ObjectLayout.parseArtifact(object.key).map {
          ArtifactView(path: $0.path, bytes: ByteCount(object.size), attempt: $0.number, nodeRank: $0.nodeRank)
        }
      })
  }

  /// By path, node and attempt.
  static func sorted(_ all: [ArtifactView]) -> [ArtifactView] {
    all.sorted { ($0.path, $0.nodeRank, $0.attempt) < ($1.path, $1.nodeRank, $1.attempt) }
  }

  /// Of each path and node that of the last attempt that left it; `all` is sorted as `sorted` does.
  static func newest(_ all: [ArtifactView]) -> [ArtifactView] {
    all.indices.filter { index in
      let next = index + 1
      return next == all.count || all[next].path != all[index].path || all[next].nodeRank != all[index].nodeRank
    }.map { all[$0] }
  }
}

extension MissingArtifacts {
  /// What is not kept of a run, oldest first.
  static func all(of run: RunID, _ store: Store) async throws -> [MissingArtifacts] {
    try await store.missingArtifacts(of: run.job).map {
      MissingArtifacts(attempt: $0.attempt, node: $0.node, reason: $0.reason)
    }
  }
}
