import Domain
import Hummingbird
import NIOCore
import ObjectStorage
import Store
import Wire

/// Checkpoints over HTTP.
enum CheckpointRoutes {
  /// So often at most a reader hears how far a verification is.
  private static let progressStep = Int64(8 << 20)

  static let all: [Route] = [
    Route(
      method: .get, path: "/jobs/{job}/checkpoints", access: .viewer, summary: "The checkpoints of a job, by step",
      gives: Listing<CheckpointView>.self
    ) { call in
      let job = try await JobRoutes.find(call)
      let records = try await call.services.store.checkpoints(of: job.id)
      return try await .json(
        Listing(
          now: call.services.store.now(),
          items: CheckpointView.build(records, latest: job.latestCheckpoint, call.services)))
    },
    Route(
      method: .post, path: "/jobs/{job}/checkpoints/prune", access: .user,
      summary: "Remove what the job's policy does not keep, or those that are named; never what is pinned or needed",
      takes: PruneRequest.self, gives: PruneReport.self
    ) { call in
      let job = try await JobRoutes.find(call)
      let request = try await call.optionalBody(PruneRequest.self) ?? PruneRequest()
      return try await .json(prune(job, request, call))
    },
    Route(
      method: .get, path: "/checkpoints/{checkpoint}", access: .viewer, summary: "One checkpoint, with its pins",
      gives: CheckpointView.self
    ) { call in
      try await .json(CheckpointView.build(find(call).id, call.services))
    },
    Route(
      method: .post, path: "/checkpoints/{checkpoint}/pin", access: .user,
      summary: "Keep a checkpoint whatever the policy says: for a person, or for a run that resumes from it",
      takes: PinRequest.self, gives: CheckpointView.self
    ) { call in
      let checkpoint = try await find(call)
      let request = try await pinRequest(call)
      let result = try await call.services.store.pinCheckpoint(
        checkpoint.id, for: request.run, note: request.note ?? "", by: call.principal.actor)
      guard case .done = result else {
        throw APIFailure(.wrongState, "\(checkpoint.id) is \(checkpoint.state.rawValue): there is nothing to keep")
      }
      return try await .json(CheckpointView.build(checkpoint.id, call.services))
    },
    Route(
      method: .post, path: "/checkpoints/{checkpoint}/unpin", access: .user,
      summary: "Take a person's pin back, or that of a run", takes: PinRequest.self, gives: CheckpointView.self
    ) { call in
      let checkpoint = try await find(call)
      let request = try await pinRequest(call)
      let result = try await call.services.store.unpinCheckpoint(
        checkpoint.id, for: request.run, by: call.principal.actor)
      guard case .done = result else {
        let holder = request.run.map { "\($0)" } ?? "a person"
        throw APIFailure(.wrongState, "\(checkpoint.id) has no pin of \(holder)")
      }
      return try await .json(CheckpointView.build(checkpoint.id, call.services))
    },
    Route(
      method: .post, path: "/checkpoints/{checkpoint}/reject", access: .user,
      summary: "Mark a checkpoint CORRUPT for ever, whatever its bytes: the one before it is used",
      takes: RejectRequest.self, gives: CheckpointView.self
    ) { call in
      let checkpoint = try await find(call)
      let request = try await call.body(RejectRequest.self)
      let result = try await call.services.store.markCorrupt(
        checkpoint.id, detail: request.reason, by: call.principal.actor)
      guard case .done = result else {
        throw APIFailure(.wrongState, "\(checkpoint.id) is \(checkpoint.state.rawValue): nothing resumes from it")
      }
      return try await .json(CheckpointView.build(checkpoint.id, call.services))
    },
    Route(
      method: .post, path: "/checkpoints/{checkpoint}/verify", access: .user,
      summary: "Server-sent events: `verify` with a VerifyProgress, while all of a checkpoint is read back"
    ) { call in
      let checkpoint = try await find(call)
      let prefix = try stored(checkpoint)
      let verifier = Verifier(services: call.services, actor: call.principal.actor)
      return StreamRoutes.events { send in try await verify(checkpoint, prefix, verifier, send) }
    },
    Route(
      method: .get, path: "/checkpoints/{checkpoint}/files", access: .viewer,
      summary: "The files of a checkpoint, with lengths and hashes", gives: CheckpointFiles.self
    ) { call in
      let checkpoint = try await find(call)
      let manifest = try await manifest(of: checkpoint, call)
      return try .json(
        CheckpointFiles(
          checkpoint: checkpoint.id, manifestSHA256: checkpoint.manifestHash ?? "", files: manifest.files.manifest))
    },
    Route(
      method: .get, path: "/checkpoints/{checkpoint}/data", access: .viewer,
      summary: "The bytes of the file that `path` names, from the offset `from` on"
    ) { call in
      let checkpoint = try await find(call)
      let path = call.query("path") ?? ""
      let files = try await manifest(of: checkpoint, call).files.files
      guard let file = files.first(where: { $0.path == path }) else {
        throw APIFailure(.notFound, "\(checkpoint.id) has no file '\(path)'")
      }
      let offset = try call.number("from", within: 0...Int(file.size), standard: 0)
      let objects = call.services.objects
      return .stream(contentType: "application/octet-stream") { send in
        try await readCheckpointFile(objects, file, from: Int64(offset)) { bytes in
          await send(ByteBuffer(bytes: bytes))
        }
      }
    },
  ]

  /// The checkpoint that the path names: `5` or `checkpoint-5`.
  private static func find(_ call: Call) async throws -> CheckpointRecord {
    let text = try call.parameter("checkpoint")
    guard let id = CheckpointID(text: text) else {
      throw APIFailure(.notFound, "'\(text)' names no checkpoint: `baton checkpoint list JOB` tells their numbers")
    }
    let checkpoint = try await call.services.store.checkpoint(id)
    guard try await isOwn(checkpoint.job, call) else { throw StoreError.notFound(kind: "checkpoint", name: text) }
    return checkpoint
  }

  private static func isOwn(_ job: JobID, _ call: Call) async throws -> Bool {
    if call.principal.role == .admin { return true }
    return try await call.services.store.job(job).project == call.principal.project
  }

  /// Where its objects are; only of what is or was in the store.
  private static func stored(_ checkpoint: CheckpointRecord) throws -> String {
    guard checkpoint.state == .durable, let prefix = checkpoint.objectPrefix else {
      throw APIFailure(
        .wrongState, "\(checkpoint.id) is \(checkpoint.state.rawValue): only a DURABLE checkpoint can be read")
    }
    return prefix
  }

  private static func manifest(of checkpoint: CheckpointRecord, _ call: Call) async throws -> CheckpointManifest {
    let prefix = try stored(checkpoint)
    do {
      return try await readCheckpointManifest(
        call.services.objects, prefix: prefix, sha256: checkpoint.manifestHash ?? "")
    } catch let fault as CheckpointFault {
      throw APIFailure(
        .wrongState, "\(checkpoint.id) cannot be read: \(fault); `baton checkpoint verify \(checkpoint.id)` marks it")
    }
  }

  private static func pinRequest(_ call: Call) async throws -> PinRequest {
    let request = try await call.optionalBody(PinRequest.self) ?? PinRequest()
    guard (request.note ?? "").count <= 200 else {
      throw APIFailure(.badRequest, "a note has at most 200 characters")
    }
    if let run = request.run, try await !isOwn(run.job, call) {
      throw StoreError.notFound(kind: "run", name: "\(run)")
    }
    return request
  }

  private static func verify(
    _ checkpoint: CheckpointRecord, _ prefix: String, _ verifier: Verifier,
    _ send: @Sendable (StreamRoutes.SentEvent) async throws -> Void
  ) async throws {
    let total = checkpoint.size
    var (done, told) = (Int64(0), Int64(0))
    try await send(.init(name: "verify", value: VerifyProgress(done: .zero, total: total)))
    let fault = try await verifier.fault(in: checkpoint, prefix: prefix) { bytes in
      done += bytes
      guard done - told >= progressStep else { return }
      told = done
      do {
        try await send(.init(name: "verify", value: VerifyProgress(done: ByteCount(done), total: total)))
      } catch {
        // Only a reader that left is not told; what is found is written down all the same.
        return
      }
    }
    let view = try await CheckpointView.build(checkpoint.id, verifier.services)
    try await send(
      .init(
        name: "verify",
        value: VerifyProgress(done: total, total: total, checkpoint: view, fault: fault.map { "\($0)" })))
  }

  private static func prune(_ job: JobRecord, _ request: PruneRequest, _ call: Call) async throws -> PruneReport {
    let store = call.services.store
    let pruner = Pruner(services: call.services, actor: call.principal.actor)
    var wanted: [CheckpointRecord]
    var refused: [String] = []
    var freed: ByteCount?
    if let named = request.checkpoints {
      let all = try await store.checkpoints(of: job.id)
      let held = Set(try await store.retentionCandidates(of: job.id).filter(\.isHeld).map(\.id))
      let pins = try await store.pins(of: named)
      wanted = []
      for id in named {
        guard let record = all.first(where: { $0.id == id }) else {
          throw APIFailure(.notFound, "\(job.id) has no \(id)")
        }
        let views = (pins[id] ?? []).map(PinView.init)
        if let reason = PruneRefusal.reason(record.state, isHeld: held.contains(id), pins: views) {
          refused.append("\(id) is kept: \(reason)")
        } else {
          wanted.append(record)
        }
      }
    } else {
      wanted = try await pruner.unwanted(of: job, at: store.now())
    }
    if !request.dryRun {
      let gone = try await pruner.prune(wanted, of: job.id)
      refused += wanted.filter { !gone.checkpoints.contains($0.id) }.map { "\($0.id) is needed by now" }
      wanted = try await store.checkpoints(of: job.id).filter { gone.checkpoints.contains($0.id) }
      freed = gone.bytes
    }
    return PruneReport(
      pruned: try await CheckpointView.build(wanted, latest: job.latestCheckpoint, call.services),
      freed: freed ?? wanted.reduce(.zero) { $0 + $1.size }, dryRun: request.dryRun, refused: refused)
  }
}

extension PinView {
  /// A pin as it is shown.
  init(_ pin: CheckpointPin) {
    self.init(run: pin.run, by: pin.pinnedBy, note: pin.note, since: pin.createdAt)
  }
}

/// Why a checkpoint that a person named is not removed.
enum PruneRefusal {
  /// The sentence behind `checkpoint-5 is kept: `; nil where it may go.
  static func reason(_ state: CheckpointState, isHeld: Bool, pins: [PinView]) -> String? {
    if let pin = pins.first {
      let run = pin.run.map { " for \($0)" } ?? ""
      return "\(pin.by) pinned it\(run)\(pin.note.isEmpty ? "" : " (\(pin.note))"); `baton checkpoint unpin` first"
    }
    switch state {
    case .pruned: return "it was removed already"
    case .local, .uploading: return "it is \(state.rawValue) and not in the store"
    case .durable, .corrupt: return isHeld ? "the job would resume from it, or does" : nil
    }
  }
}
