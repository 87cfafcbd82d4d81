import Crypto
import Domain
import Foundation
import Hummingbird
import NIOCore
import NIOFoundationCompat
import NIOFoundationEssentialsCompat
import ObjectStorage
import Store
import Wire

/// Data sets over HTTP.
///
/// The client sends each object once, named by its content, then registers the manifest.
enum DataRoutes {
  static let all: [Route] = [
    Route(
      method: .get, path: "/datasets", access: .viewer, summary: "All versions of all data sets",
      gives: Listing<DatasetView>.self
    ) { call in
      let records = try await call.services.store.datasets(project: call.principal.project)
      return try await .json(
        Listing(now: call.services.store.now(), items: DatasetView.build(records, call.services)))
    },
    Route(
      method: .get, path: "/datasets/{dataset}", access: .viewer, summary: "The versions of a data set, newest first",
      gives: Listing<DatasetView>.self
    ) { call in
      let name = try call.parameter("dataset")
      let records = try await call.services.store.datasets(project: call.principal.project).filter { $0.name == name }
      guard !records.isEmpty else { throw StoreError.unknownDataset(name: name, version: nil) }
      return try await .json(
        Listing(now: call.services.store.now(), items: DatasetView.build(records, call.services)))
    },
    Route(
      method: .post, path: "/datasets", access: .user,
      summary: "Register a version of a data set, whose objects are in the store already",
      takes: DatasetRequest.self, gives: DatasetView.self
    ) { call in
      let request: DatasetRequest = try await call.body(limit: 256 << 20)
      return try await register(request, call)
    },
    Route(
      method: .post, path: "/blobs/missing", access: .user, summary: "Which of these the project has not sent yet",
      takes: BlobList.self, gives: BlobList.self
    ) { call in
      let asked: BlobList = try await call.body(limit: 256 << 20)
      // What another project has sent is missing too: knowing a hash is no right to what has it.
      let sent = try await call.services.store.blobs(asked.sha256, sentBy: call.principal.project)
      var missing: [String] = []
      for sha256 in asked.sha256 {
        let key = ObjectLayout.blob(sha256: try checked(sha256))
        let isThere = sent.contains(sha256) ? try await call.services.objects.head(key) != nil : false
        if !isThere { missing.append(sha256) }
      }
      return try .json(BlobList(sha256: missing))
    },
    Route(
      method: .put, path: "/blobs/{sha256}", access: .user, summary: "Send an object, named by its content",
      gives: BlobList.self
    ) { call in
      let sha256 = try checked(call.parameter("sha256"))
      let scratch = FileManager.default.temporaryDirectory.appendingPathComponent("baton-\(UUID().uuidString)").path
      defer { unlink(scratch) }
      try await receive(call, into: scratch)
      do {
        try await call.services.objects.put(
          ObjectLayout.blob(sha256: sha256), from: .file(path: scratch), sha256: sha256)
      } catch let error as ObjectStoreError where error.code == .checksumMismatch {
        throw APIFailure(.badRequest, "what came is not the object \(sha256): it was cut or changed on its way")
      }
      try await call.services.store.addBlob(sha256, project: call.principal.project)
      return try .json(BlobList(sha256: [sha256]), status: .created)
    },
  ]

  /// Writes a body to a file as it comes, never holding more than a piece of it.
  private static func receive(_ call: Call, into path: String) async throws {
    let most = call.services.settings.objectBytesMost
    func check(_ size: Int64) throws {
      guard size > most else { return }
      throw APIFailure(
        .tooLarge,
        "an object may have \(ByteCount(most)), and this one has more: split the file, "
          + "or have object_bytes_most raised in the server's configuration")
    }
    if let announced = call.request.headers[.contentLength].flatMap({ Int64($0) }) { try check(announced) }
    guard FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]) else {
      throw APIFailure(.unavailable, "the server has no room for temporary files")
    }
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    defer { file.closeFile() }
    var size: Int64 = 0
    for try await piece in call.request.body {
      size += Int64(piece.readableBytes)
      try check(size)
      try file.write(contentsOf: Data(buffer: piece, byteTransferStrategy: .noCopy))
    }
  }

  private static func register(_ request: DatasetRequest, _ call: Call) async throws -> Response {
    let objects = call.services.objects
    guard request.manifest.entries.allSatisfy({ $0.tag == nil }) else {
      throw APIFailure(.badRequest, "objects that were sent have no tags: only what is read in place is pinned by them")
    }
    let hashes = try request.manifest.entries.map { try checked($0.sha256) }
    let sent = try await call.services.store.blobs(hashes, sentBy: call.principal.project)
    for entry in request.manifest.entries {
      let info = sent.contains(entry.sha256) ? try await objects.head(ObjectLayout.blob(sha256: entry.sha256)) : nil
      guard let info, info.size == entry.size else {
        throw APIFailure(
          .badRequest, "the project has not sent the object of '\(entry.path)': send it first (`baton data add` does)")
      }
    }
    let view = try await DatasetRegistration(call).register(
      name: request.name, source: request.source, manifest: request.manifest)
    return try .json(view, status: view.existed ? .ok : .created)
  }

  private static func checked(_ sha256: String) throws -> String {
    guard sha256.utf8.count == 64, sha256.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }) else {
      throw APIFailure(.badRequest, "'\(sha256.prefix(80))' is not a SHA-256 in 64 lower-case hexadecimal digits")
    }
    return sha256
  }
}

extension DatasetRegistration {
  /// For who asks.
  init(_ call: Call) {
    self.init(services: call.services, project: call.principal.project, actor: call.principal.actor)
  }
}

extension DatasetView {
  /// Data set versions as they are shown.
  static func build(_ records: [DatasetVersionRecord], _ services: Services) async throws -> [DatasetView] {
    guard !records.isEmpty else { return [] }
    let names = try await services.store.nodeNames()
    let holders = try await services.store.replicas(of: records.map(\.id))
    return records.map { record in
      let copies = (holders[record.id] ?? []).map { replica in
        DatasetCopy(
          node: NodeRef(id: replica.node, name: names[replica.node] ?? ""), state: replica.state.rawValue,
          verifiedAt: replica.verifiedAt)
      }
      return DatasetView(
        id: record.id, name: record.name, version: record.version, contentID: record.contentID, total: record.size,
        objects: record.objects, source: record.source, createdAt: record.createdAt,
        replicas: copies.filter { $0.state == ReplicaState.verified.rawValue }.map(\.node), origin: record.origin,
        copies: copies, pack: PackView(record), changes: record.parent?.changes)
    }
  }
}
