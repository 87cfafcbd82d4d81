import Domain
import Hummingbird
import ObjectStorage
import Store
import Wire

/// Health, doctor and sweeps over HTTP.
enum AdminRoutes {
  static let all: [Route] = [
    Route(
      method: .get, path: "/health", access: .open, summary: "Whether this process serves and decides",
      gives: HealthView.self
    ) { call in
      let controller = try await call.services.store.controller()
      return try await .json(
        HealthView(
          version: BatonVersion.current, isController: call.services.leadership.epoch != nil,
          controllerEpoch: controller.epoch.rawValue, database: true, now: call.services.store.now()))
    },
    Route(
      method: .get, path: "/admin/doctor", access: .admin, summary: "Look at everything that can be wrong",
      gives: DoctorReport.self
    ) { call in
      try await .json(Doctor(services: call.services).examine())
    },
    Route(
      method: .post, path: "/sweep", access: .user,
      summary:
        "See that every running job has a fresh checkpoint, verify stored ones, remove old ones; an administrator's covers "
        + "all projects; one at a time, and at most `read` bytes are read back",
      gives: SweepReport.self
    ) { call in
      guard let epoch = call.services.leadership.epoch else {
        throw APIFailure(.unavailable, "this process does not decide at present: ask the one that does, or try again")
      }
      let most = try call.number("read", within: 0...Int.max, standard: Int(Sweep.bytesReadMost.bytes))
      let sweep = Sweep(
        services: call.services, epoch: epoch, project: call.projectFilter, bytesMost: ByteCount(Int64(most)))
      switch try await call.services.store.sweeping(by: call.principal.userName, { try await sweep.run() }) {
      case .done(let report): return try .json(report)
      case .underWay(let holder): throw APIFailure(sweepUnderWay: holder)
      }
    },
  ]
}

extension APIFailure {
  /// Another sweep is under way.
  init(sweepUnderWay holder: SweepHolder?) {
    let who = holder.map { ", by \($0.name) since \($0.since.iso8601)" } ?? ""
    self.init(.wrongState, "a sweep is under way\(who): nothing was done, and what it leaves the next one does")
  }
}

/// Looks at everything that can be wrong with an installation.
struct Doctor: Sendable {
  let services: Services

  /// Never throws: what cannot be looked at is a finding.
  func examine() async -> DoctorReport {
    var checks: [DoctorReport.Check] = []
    func check(_ name: String, _ body: () async throws -> (Bool, String)) async {
      do {
        let (passed, detail) = try await body()
        checks.append(.init(name: name, passed: passed, detail: detail))
      } catch {
        let failure = APIFailure(describing: error, logger: services.logger)
        checks.append(.init(name: name, passed: false, detail: failure.message))
      }
    }
    await check("schema") {
      let status = try await services.store.migrationStatus(from: .directory(services.settings.migrations))
      let missing = status.filter { $0.appliedAt == nil }
      return missing.isEmpty
        ? (true, "\(status.count) of \(status.count) migrations are applied")
        : (false, "\(counted(missing.count, "migration")) not applied: run `baton admin migrate`")
    }
    await check("controller") {
      let record = try await services.store.controller()
      let holder = record.holder ?? "nobody"
      return (record.holder != nil, "epoch \(record.epoch.rawValue), held by \(holder)")
    }
    await check("invariants") {
      let found = try await services.store.invariantViolations()
      return found.isEmpty
        ? (true, "all hold") : (false, found.map(\.description).joined(separator: "; "))
    }
    await check("object store") {
      let key = "doctor/probe"
      let bytes = Array("is this what was written?".utf8)
      try await services.objects.put(key, from: .bytes(bytes))
      let read = try await services.objects.bytes(key)
      try await services.objects.delete(key)
      return read == bytes
        ? (true, "writes, reads back and deletes at \(services.settings.objectStore)")
        : (false, "what was read back is not what was written, at \(services.settings.objectStore)")
    }
    await check("nodes") {
      let nodes = try await services.store.nodes()
      let alive = nodes.filter { $0.state == .alive }.count
      return (
        alive == nodes.count,
        alive == nodes.count
          ? "all \(alive) answer"
          : "\(nodes.count - alive) of \(nodes.count) do not answer: `baton node check NAME` says why"
      )
    }
    return DoctorReport(checks: checks)
  }
}
