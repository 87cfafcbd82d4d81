import APIClient
import Domain
import Foundation
import Lab
import ObjectStorage
import TestKit
import Testing
import Wire

/// Data sets as people use them: read in place, packed, brought to nodes ahead of jobs, read back, removed.
@Suite struct DataTests {
  /// More than one page of a listing of S3, in place; changed, added to, and then replaced behind Baton's back.
  @Test func readsABucketInPlaceAndRefusesWhatWasReplaced() async throws {
    try await ObjectStoreTests.with(.s3) { objects in
      let photos = try await Photos(.s3)
      let files = Dictionary(uniqueKeysWithValues: (0..<1050).map { ("train/\($0 % 7)/\($0).txt", "picture \($0)") })
      try await photos.put(files)
      try await SystemFixture.with(limit: .seconds(400), objects: objects) { s in
        var files = files
        try await s.lease()
        let first = try await s.client.addInPlace(.init(name: "photos", location: photos.location))
        #expect(first.version == 1 && first.objects == files.count && first.origin == photos.location)
        let again = try await s.client.addInPlace(.init(name: "photos", location: photos.location))
        #expect(again.existed && again.version == 1)
        #expect(try await s.look(at: "photos") == files)

        files["train/0/0.txt"] = "another picture"
        files["train/new.txt"] = "one more"
        try await photos.put(files.filter { ["train/0/0.txt", "train/new.txt"].contains($0.key) })
        try await photos.store.delete("train/1/1.txt")
        files["train/1/1.txt"] = nil
        let second = try await s.client.addInPlace(.init(name: "photos", location: photos.location))
        #expect(second.version == 2 && second.changes == ManifestChanges(new: 1, changed: 1, gone: 1))
        #expect(try await s.look(at: "photos") == files)

        // Replaced since, by something of the same length: no copy of it, and no run with it.
        _ = try await s.client.evict("photos")
        try await photos.put(["train/new.txt": "one less"])
        let job = try await s.submit(SystemFixture.looking(at: "photos", into: s.folder + "/wrong")).id
        let end = try await s.wait(job, .failed, .held)
        let why = "\(end.reasonDetail ?? "")"
        #expect(why.contains("train/new.txt") && why.contains("replaced"), "\(why)")
        #expect(!FileManager.default.fileExists(atPath: s.folder + "/wrong"))
        let found = try await s.client.verify("photos", .init(nodes: false, store: true))
        #expect(found.places.map(\.damagedCount) == [1])
        #expect(found.places.first?.damaged.first?.hasPrefix("train/new.txt") == true)
      }
    }
  }

  @Test func bringsAContainerToAllNodesOfALeaseAheadOfAnyJob() async throws {
    try await ObjectStoreTests.with(.swift) { objects in
      let photos = try await Photos(.swift)
      let files = Dictionary(
        uniqueKeysWithValues: (0..<40).map { ("\($0).bin", String(repeating: "\($0) ", count: 40_000)) })
      try await photos.put(files)
      try await SystemFixture.with(nodes: 2, limit: .seconds(400), objects: objects) { s in
        try await s.lease("week")
        // Baton's own objects are nobody's data set.
        for place in [objects.location, String(objects.location.dropLast("/baton".count)), "file:///etc"] {
          let refusal = try await s.refusal {
            _ = try await s.client.addInPlace(.init(name: "mine", location: place))
          }
          #expect(refusal.code == .denied, "\(place): \(refusal)")
        }
        _ = try await s.client.addInPlace(.init(name: "photos", location: photos.location))
        let report = try await s.client.stage("photos", StageRequest(lease: "week"))
        #expect(report.isComplete && report.nodes.map(\.node).sorted() == ["n1", "n2"], "\(report)")
        var view = try #require(try await s.client.dataset("photos").items.first)
        #expect(view.replicas.map(\.name).sorted() == ["n1", "n2"])
        #expect(try await s.look(at: "photos") == files)

        let healthy = try await s.client.verify("photos", .init(nodes: true, store: true))
        #expect(healthy.isHealthy && healthy.places.count == 3, "\(healthy)")
        let replica = "\(try s.lab.node("n1").description.rootPath)/datasets/\(view.contentID)/7.bin"
        chmod(replica, 0o644)
        try Data("damaged".utf8).write(to: URL(fileURLWithPath: replica))
        let damaged = try await s.client.verify("photos", .init(nodes: true, store: false))
        #expect(damaged.places.map(\.damaged) == [["7.bin"], []])
        view = try #require(try await s.client.dataset("photos").items.first)
        #expect(view.replicas.map(\.name) == ["n2"])

        let evicted = try await s.client.evict("photos", EvictRequest(lease: "week"))
        #expect(evicted.isComplete && evicted.nodes.map(\.removed) == [1, 1], "\(evicted)")
        #expect(try await s.client.dataset("photos").items.first?.copies == [])
      }
    }
  }

  @Test func packsManyFilesOnceAndJobsUseTheShards() async throws {
    try await SystemFixture.with(limit: .seconds(300)) { s in
      try await s.lease()
      var files: [String: String] = [:]
      for sample in 0..<60 {
        files["a/\(sample).txt"] = String(repeating: "text of \(sample) ", count: 4000)
        files["a/\(sample).cls"] = "\(sample % 10)"
      }
      let view = try await s.register("samples", files)
      let refusal = try await s.refusal {
        _ = try await s.client.stage("samples", StageRequest(lease: "first", mode: .shards))
      }
      #expect(refusal.code == .wrongState)
      let pack = try await s.client.pack("samples", PackRequest(shardBytes: .mebibytes(1)))
      #expect(pack.shards > 1 && !pack.existed && pack.bytes > view.total)
      let again = try await s.client.pack("samples")
      #expect(again.existed && again.shards == pack.shards)
      #expect(try await s.client.dataset("samples").items.first?.contentID == view.contentID)

      // The files are not needed any more: what is in the shards is.
      let blobs = try FileObjectStore.creating(root: s.lab.layout.objects)
      for text in files.values { try await blobs.delete(ObjectLayout.blob(sha256: ContentHash.of(Array(text.utf8)))) }
      #expect(try await s.look(at: "samples") == files)
      let shards = try await s.look(at: "samples", mode: "shards")
      let tars = (0..<pack.shards).map { "shard-00000\($0)" }
      #expect(shards.keys.sorted() == tars.flatMap { ["\($0).idx", "\($0).tar"] })
      let verified = try await s.client.verify("samples", .init(nodes: true, store: true))
      #expect(verified.isHealthy, "\(verified)")

      let lineage = try #require(try await s.client.lineage("samples").items.first)
      #expect(lineage.jobs.count == 2 && lineage.dataset.pack?.shards == pack.shards)
      #expect(lineage.addedBy?.hasPrefix("user:") == true)
    }
  }
}

/// Objects of somebody else in the site's account: a container of their own.
private struct Photos {
  let store: any ObjectStore
  let location: String

  init(_ door: ObjectStoreTests.Door) async throws {
    let swift = try await OpenStack.shared.swift
    let name = "photos-\(UUID().uuidString.lowercased())"
    if door == .s3 {
      let made = S3ObjectStore(
        S3Settings(endpoint: swift.url, bucket: name), accessKey: swift.accessKey, secretKey: swift.secretKey)
      try await made.createBucket()
      store = made
      location = "s3://\(name)"
    } else {
      let user = SwiftAuthentication.v1(url: swift.authURL, user: swift.user, key: swift.password)
      let made = SwiftObjectStore(SwiftSettings(container: name, prefix: "2026/"), authentication: user)
      try await made.createContainer()
      store = made
      location = "swift://\(name)/2026"
    }
  }

  func put(_ files: [String: String]) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (number, file) in files.enumerated() {
        if number >= 16 { try await group.next() }
        group.addTask { try await store.put(file.key, from: .bytes(Array(file.value.utf8))) }
      }
      try await group.waitForAll()
    }
  }
}

extension SystemFixture {
  /// A job that copies its data to `folder`, which a test can read.
  fileprivate static func looking(at name: String, mode: String = "copy", into folder: String) -> String {
    """
    name: looking
    run: [/bin/cp, -rL, "${BATON_DATA_DIR}", \(folder)]
    data: [{name: \(name), mode: \(mode)}]

    """
  }

  /// What a job sees of a data set.
  fileprivate func look(at name: String, mode: String = "copy") async throws -> [String: String] {
    let copy = "\(folder)/copy-\(UUID().uuidString)"
    let job = try await submit(Self.looking(at: name, mode: mode, into: copy)).id
    let end = try await wait(job, .completed)
    #expect(end.exitCode == 0)
    var seen: [String: String] = [:]
    for path in FileManager.default.enumerator(atPath: copy)?.compactMap({ $0 as? String }) ?? [] {
      guard let bytes = FileManager.default.contents(atPath: "\(copy)/\(path)") else { continue }
      seen[path] = String(decoding: bytes, as: UTF8.self)
    }
    return seen
  }

  /// Sends files, and registers them.
  func register(_ name: String, _ files: [String: String]) async throws -> DatasetView {
    var entries: [ManifestEntry] = []
    let path = "\(folder)/one"
    for (name, text) in files {
      let sha256 = ContentHash.of(Array(text.utf8))
      try Data(text.utf8).write(to: URL(fileURLWithPath: path))
      try await client.uploadBlob(sha256: sha256, path: path, size: ByteCount(Int64(text.utf8.count)))
      entries.append(ManifestEntry(path: name, size: Int64(text.utf8.count), sha256: sha256))
    }
    let manifest = try #require(Manifest(entries))
    return try await client.registerDataset(DatasetRequest(name: name, source: "a test", manifest: manifest))
  }
}
