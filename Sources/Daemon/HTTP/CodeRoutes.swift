import Domain
import Hummingbird
import NIOCore
import ObjectStorage
import Store
import Wire

/// The code of runs over HTTP.
///
/// The client sends the tar as it sends an object of a data set, named by its content, before it submits.
enum CodeRoutes {
  static let all: [Route] = [
    Route(
      method: .get, path: "/runs/{run}/code", access: .viewer,
      summary: "The code that was captured for a run: a tar, whose SHA-256 is in the run's provenance"
    ) { call in
      let run = try await RunRoutes.find(call, "run")
      guard let code = try await call.services.store.code(of: run.job) else {
        throw APIFailure(.notFound, "\(run) has no captured code: it was not submitted from a git work tree")
      }
      let objects = call.services.objects
      return .stream(contentType: "application/x-tar") { send in
        try await objects.get(ObjectLayout.blob(sha256: code.sha256), range: nil, ifTag: nil) { bytes in
          await send(ByteBuffer(bytes: bytes))
        }
      }
    },
    Route(
      method: .post, path: "/runs/{run}/reproduce", access: .user,
      summary: "Submit the same again: code, data versions, seeds and the job file as they were",
      takes: ReproduceRequest.self, gives: Reproduction.self
    ) { call in
      let run = try await RunRoutes.find(call, "run")
      let request: ReproduceRequest = try await call.body()
      return try await .json(reproduce(run, request, call), status: .created)
    },
  ]

  /// Refuses code that was not sent, or whose folder leads out of it.
  static func check(_ code: CodeCapture, _ call: Call) async throws {
    guard code.folder.isEmpty || CodeArchive.isInside(code.folder) else {
      throw APIFailure(.badRequest, "the code's folder '\(code.folder.prefix(80))' leads out of it")
    }
    let sent = try await call.services.store.blobs([code.sha256], sentBy: call.principal.project)
    let info =
      sent.contains(code.sha256)
      ? try await call.services.objects.head(ObjectLayout.blob(sha256: code.sha256)) : nil
    guard let info, info.size == code.bytes.bytes else {
      throw APIFailure(
        .badRequest, "the project has not sent the code \(code.sha256.prefix(12)): send it first (`baton submit` does)")
    }
  }

  /// The tar of a run's code; nil where none was captured.
  static func archive(of code: CodeCapture?, _ services: Services) async throws -> [CodeArchive.File]? {
    guard let code else { return nil }
    let bytes = try await services.objects.bytes(
      ObjectLayout.blob(sha256: code.sha256), limit: Int(CodeLimits().totalMost.bytes) * 2)
    guard CodeArchive.sha256(of: bytes) == code.sha256 else {
      throw APIFailure(.unavailable, "the captured code \(code.sha256.prefix(12)) rotted in the object store")
    }
    return try CodeArchive.files(of: bytes)
  }

  private static func reproduce(_ id: RunID, _ request: ReproduceRequest, _ call: Call) async throws -> Reproduction {
    let store = call.services.store
    let run = try await store.run(id)
    guard run.job.project == call.principal.project else {
      throw APIFailure(.denied, "\(id) belongs to the project '\(run.job.projectName)': use a token of that project")
    }
    var spec = run.pinnedSpec
    var caveats = Self.caveats(of: run)
    if let name = request.name { spec.name = name }
    if let lease = request.lease {
      spec.lease = .named(lease)
    } else if case .named(let name) = spec.lease {
      let open = try await store.leases(project: run.job.project).filter { !$0.state.isFinal }
      if !open.contains(where: { $0.name == name || "\($0.id)" == name }) {
        spec.lease = .auto
        caveats.append("the lease '\(name)' is over: any lease of the project is used")
      }
    }
    let (record, _) = try await store.submit(
      JobSubmission(
        project: run.job.project, user: call.principal.user, spec: spec, specText: run.specText,
        key: request.submissionKey, provenance: run.provenance, startCheckpoint: run.startCheckpoint, reproduces: id),
      by: call.principal.actor)
    return Reproduction(original: id, job: try await JobView.build(record.id, call.services), caveats: caveats)
  }

  /// What cannot be promised to be the same.
  private static func caveats(of run: RunRecord) -> [String] {
    var found: [String] = []
    if let code = run.provenance.code {
      if !code.leftOut.isEmpty {
        let names = code.leftOut.prefix(3).map(\.path).joined(separator: ", ")
        found.append(
          "\(counted(code.leftOut.count, "file")) of the work tree \(code.leftOut.count == 1 ? "was" : "were") not captured: \(names)"
        )
      }
    } else {
      found.append("its code was not captured: what its command names on the nodes is run as it is there now")
    }
    if run.datasets.count < run.job.spec.data.count { found.append("not all of its data is known any more") }
    return found
  }
}
