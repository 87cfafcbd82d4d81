import Domain
import Hummingbird
import ObjectStorage
import Store
import Synchronization
import Wire

/// What is done with data sets: read in place, packed, brought to nodes, removed from them, read back.
///
/// What takes its time answers with server-sent events `step`; one who leaves ends it.
enum DataActionRoutes {
  static let all: [Route] = [
    Route(
      method: .post, path: "/datasets/in-place", access: .user,
      summary:
        "Register objects of the site's object store as a data set that is read where it is; server-sent events `step`, "
        + "the last with a DatasetView", takes: DatasetInPlaceRequest.self
    ) { call in
      let request: DatasetInPlaceRequest = try await call.body()
      let location = try call.services.sources.location(request.location)
      return steps(call) { progress in
        let manifest = try await call.services.sources.manifest(at: location, progress: progress)
        return try await DatasetRegistration(call).register(
          name: request.name, source: request.source ?? "\(location)", manifest: manifest, origin: location)
      }
    },
    Route(
      method: .get, path: "/datasets/{dataset}/lineage", access: .viewer,
      summary: "What each version was made from, by whom, and which jobs used it; newest first",
      gives: Listing<LineageView>.self
    ) { call in
      try await .json(
        Listing(now: call.services.store.now(), items: LineageView.build(versions(call), call.services)))
    },
    Route(
      method: .post, path: "/datasets/{dataset}/pack", access: .user,
      summary: "Write a version as tar shards, once; server-sent events `step`, the last with a PackView",
      takes: PackRequest.self
    ) { call in
      let request = try await call.optionalBody(PackRequest.self) ?? PackRequest()
      let version = try await version(request.version, call)
      let size = request.shardBytes ?? Packer.shardBytes
      guard Packer.shardBytesRange.contains(size.bytes) else {
        let range = Packer.shardBytesRange
        throw APIFailure(
          .badRequest,
          "a shard of \(size) makes no sense: from \(ByteCount(range.lowerBound)) to \(ByteCount(range.upperBound)) do")
      }
      let packer = Packer(services: call.services, version: version, shardBytes: size, actor: call.principal.actor)
      return steps(call) { progress in try await packer.run(progress: progress) }
    },
    Route(
      method: .post, path: "/datasets/{dataset}/stage", access: .user,
      summary: "Bring a version to all nodes of a lease now; server-sent events `step`, the last with a StageReport",
      takes: StageRequest.self
    ) { call in
      let request: StageRequest = try await call.body()
      let version = try await version(request.version, call)
      let lease = try await LeaseRoutes.find(request.lease, call)
      guard lease.project == version.project else {
        throw APIFailure(.denied, "lease '\(lease.name)' is another project's")
      }
      let staging = try staging(call)
      return steps(call) { progress in
        try await staging.stage(version, on: lease, mode: request.mode ?? .copy, progress: progress)
      }
    },
    Route(
      method: .post, path: "/datasets/{dataset}/evict", access: .user,
      summary: "Remove copies from the nodes of the project's leases; an administrator's from any node",
      takes: EvictRequest.self, gives: EvictReport.self
    ) { call in
      let request = try await call.optionalBody(EvictRequest.self) ?? EvictRequest()
      let meant = try await versions(call).filter { request.version == nil || $0.version == request.version }
      guard !meant.isEmpty else {
        _ = try await version(request.version, call); return try .json(EvictReport(nodes: []))
      }
      let staging = try staging(call)
      let leases = try await call.services.store.leases(project: call.projectFilter)
      let chosen = try await request.lease.asyncMap { try await LeaseRoutes.find($0, call) }
      try await call.services.store.unwantDatasets(
        meant, on: (chosen.map { [$0] } ?? leases).map(\.id), by: call.principal.actor)
      let nodes = try await nodes(of: meant, named: request.node, in: chosen, leases, call)
      return try await .json(staging.evict(meant, from: nodes))
    },
    Route(
      method: .post, path: "/datasets/{dataset}/verify", access: .user,
      summary:
        "Read back a version's objects in the store, its copies on nodes, or both; server-sent events `step`, the last "
        + "with a DataVerification", takes: DataVerifyRequest.self
    ) { call in
      let request: DataVerifyRequest = try await call.body()
      guard request.nodes || request.store else {
        throw APIFailure(.badRequest, "say what to read back: nodes, store, or both")
      }
      let version = try await version(request.version, call)
      let staging = request.nodes ? try staging(call) : nil
      let leases = try await call.services.store.leases(project: call.projectFilter)
      let nodes = request.nodes ? try await nodes(of: [version], named: nil, in: nil, leases, call) : []
      return steps(call) { progress in
        var places: [DataVerification.Place] = []
        if request.store {
          places.append(try await StoreReading(services: call.services, version: version).run(progress: progress))
        }
        if let staging { places += try await staging.verify(version, on: nodes, progress: progress) }
        return DataVerification(name: version.name, version: version.version, places: places)
      }
    },
  ]

  // MARK: What the address names

  /// The versions of the data set that the path names, newest first.
  static func versions(_ call: Call) async throws -> [DatasetVersionRecord] {
    let name = try call.parameter("dataset")
    let records = try await call.services.store.datasets(project: call.principal.project).filter { $0.name == name }
    guard !records.isEmpty else { throw StoreError.unknownDataset(name: name, version: nil) }
    return records
  }

  /// The version with this number, or the newest.
  private static func version(_ number: Int?, _ call: Call) async throws -> DatasetVersionRecord {
    let name = try call.parameter("dataset")
    guard
      let found = try await call.services.store.resolveDataset(name, version: number, project: call.principal.project)
    else { throw StoreError.unknownDataset(name: name, version: number) }
    return found
  }

  private static func staging(_ call: Call) throws -> DataStaging {
    guard let epoch = call.services.leadership.epoch else {
      throw APIFailure(.unavailable, "this process does not decide at present: ask the one that does, or try again")
    }
    return DataStaging(services: call.services, epoch: epoch, actor: call.principal.actor)
  }

  /// The nodes that may be asked about `versions`: those of the project's leases that are under way, for an administrator
  /// all; of these the one that is `name`d, those of `lease`, or else those that are known to hold something of it.
  private static func nodes(
    of versions: [DatasetVersionRecord], named name: String?, in lease: LeaseRecord?, _ leases: [LeaseRecord],
    _ call: Call
  ) async throws -> [NodeRecord] {
    let isAdmin = call.principal.role == .admin
    let own = Set(leases.filter { [.active, .ending].contains($0.state) }.flatMap(\.nodes))
    if let name {
      let node = try await NodeRoutes.find(name, call)
      guard isAdmin || own.contains(node.id) else {
        throw APIFailure(.denied, "node '\(node.request.name)' is in no ACTIVE lease of your project")
      }
      return [node]
    }
    let holders = try await call.services.store.replicas(of: versions.map(\.id)).values.flatMap { $0.map(\.node) }
    let wanted = lease.map { Set($0.nodes) } ?? Set(holders)
    return try await call.services.store.nodes().filter {
      wanted.contains($0.id) && (isAdmin || own.contains($0.id))
    }
  }

  // MARK: Steps

  /// Runs `body`, and tells how far it is at most a few times a second for each node.
  private static func steps<Result: Hashable & Sendable & Codable>(
    _ call: Call,
    _ body: @escaping @Sendable (_ progress: @escaping @Sendable (DataProgress) async -> Void) async throws -> Result
  ) -> Response {
    let logger = call.services.logger
    return StreamRoutes.events { send in
      let pace = Pace()
      @Sendable func tell(_ progress: DataProgress) async {
        guard pace.allows(progress.node) else { return }
        // A reader that left cancels all of this.
        do { try await send(.init(name: "step", value: DataStep<Result>(progress))) } catch { return }
      }
      do {
        let result = try await body(tell)
        try await send(.init(name: "step", value: DataStep(result: result)))
      } catch {
        try Task.checkCancellation()
        let failure = APIFailure(describing: error, logger: logger)
        try await send(.init(name: "step", value: DataStep<Result>(failure: failure)))
      }
    }
  }

  /// Lets through what comes not too soon after the last of the same node.
  private final class Pace: Sendable {
    private static let gap = Duration.milliseconds(300)
    private let last = Mutex<[String?: ContinuousClock.Instant]>([:])

    func allows(_ node: String?) -> Bool {
      last.withLock { last in
        let now = ContinuousClock.now
        if let before = last[node], now - before < Self.gap { return false }
        last[node] = now
        return true
      }
    }
  }
}

extension Optional {
  /// What `transform` makes of a value that is there.
  fileprivate func asyncMap<Other>(_ transform: (Wrapped) async throws -> Other) async throws -> Other? {
    guard let self else { return nil }
    return try await transform(self)
  }
}

extension LineageView {
  /// Versions with what is known of how they came about.
  static func build(_ records: [DatasetVersionRecord], _ services: Services) async throws -> [LineageView] {
    let views = try await DatasetView.build(records, services)
    let uses = try await services.store.jobs(using: records.map(\.id))
    let numbers = Dictionary(uniqueKeysWithValues: records.map { ($0.id, $0.version) })
    return zip(records, views).map { record, view in
      LineageView(
        dataset: view, addedBy: record.addedBy, madeFrom: record.parent.flatMap { numbers[$0.version] },
        jobs: (uses[record.id] ?? []).map {
          Use(job: $0.job, name: $0.name, state: $0.state, user: $0.user, submittedAt: $0.submittedAt)
        })
    }
  }
}
