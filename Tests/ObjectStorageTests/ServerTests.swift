import Domain
import Foundation
import FoundationNetworking
import TestKit
import Testing
import Wire

@testable import ObjectStorage

/// What only one kind of store does, on the real server.
@Suite(.timeLimit(.minutes(3)), .serialized)
struct ServerTests {
  private let abc = Array("abc".utf8)

  @Test(arguments: StoreKind.http.filter { !$0.isLimited })
  func takesNoMissingContainerForAnEmptyOne(kind: StoreKind) async throws {
    try await kind.with { place in
      let missing: any ObjectStore
      switch place.owner {
      case let store as SwiftObjectStore:
        var settings = store.settings
        settings.container += "-missing"
        missing = SwiftObjectStore(settings, authentication: try await authentication(kind))
      case let store as S3ObjectStore:
        var settings = store.settings
        settings.bucket += "-missing"
        let servers = try await OpenStack.shared
        missing = S3ObjectStore(
          settings, accessKey: kind == .ec2 ? servers.keystone.accessKey : servers.swift.accessKey,
          secretKey: kind == .ec2 ? servers.keystone.secretKey : servers.swift.secretKey)
      default: throw OpenStackFailure(reason: "unexpected store")
      }
      await expect(.unavailable) { _ = try await missing.head("k") }
      await expect(.unavailable) { _ = try await missing.bytes("k") }
      await expect(.unavailable) { _ = try await missing.list(prefix: "", after: nil, limit: 5) }
      await expect(.unavailable) { _ = try await missing.put("k", from: .bytes(abc)) }
    }
  }

  @Test(arguments: ["HEAD", "GET", "PUT"])
  func signsByTheStoresClock(first: String) async throws {
    try await StoreKind.s3.with { place in
      guard let owner = place.owner as? S3ObjectStore else { return }
      try await owner.put("k", from: .bytes(abc))
      let servers = try await OpenStack.shared
      let wrong = S3ObjectStore(
        owner.settings, accessKey: servers.swift.accessKey, secretKey: servers.swift.secretKey,
        clock: { WallClock.seconds - 7200 })
      switch first {
      case "HEAD": #expect(try await wrong.head("k")?.size == 3)
      case "GET": #expect(try await wrong.bytes("k") == abc)
      default: try await wrong.put("k", from: .bytes(abc))
      }
    }
  }

  @Test func refusesAWrongSecret() async throws {
    try await StoreKind.s3.with { place in
      guard let owner = place.owner as? S3ObjectStore else { return }
      let wrong = S3ObjectStore(owner.settings, accessKey: "test:tester", secretKey: "wrong")
      do {
        _ = try await wrong.bytes("k")
        Issue.record("it was let in")
      } catch let error as ObjectStoreError {
        #expect(error.code == .denied)
        #expect(error.description.contains("SignatureDoesNotMatch"), "\(error)")
      }
    }
    try await StoreKind.swift.with { place in
      guard let owner = place.owner as? SwiftObjectStore else { return }
      let url = try await OpenStack.shared.swift.authURL
      let wrong = SwiftObjectStore(owner.settings, authentication: .v1(url: url, user: "test:tester", key: "wrong"))
      await expect(.denied) { _ = try await wrong.bytes("k") }
    }
  }

  @Test func namesTheEndpointsThatACatalogHas() async throws {
    let authentication = try await authentication(.application)
    let store = SwiftObjectStore(
      SwiftSettings(container: "c", region: "Nowhere"), authentication: authentication)
    do {
      _ = try await store.head("k")
      Issue.record("it was found")
    } catch {
      #expect(error.description.contains("public in RegionOne"), "\(error)")
    }
  }

  @Test func signsAddressesForOneObject() async throws {
    try await StoreKind.s3.with { place in
      guard let owner = place.owner as? S3ObjectStore else { return }
      try await owner.put("é k", from: .bytes(abc))
      #expect(try await fetch(try owner.presigned("GET", "é k", seconds: 60)) == abc)
    }
    try await StoreKind.swift.with { place in
      guard let owner = place.owner as? SwiftObjectStore else { return }
      try await owner.put("é k", from: .bytes(abc))
      let until = Timestamp(secondsSinceEpoch: Date().timeIntervalSince1970 + 60)
      #expect(try await fetch(try await owner.temporaryURL("GET", "é k", until: until)) == abc)
    }
  }

  @Test func keepsOneSecretForTemporaryURLs() async throws {
    try await StoreKind.swift.with { place in
      let until = Timestamp(secondsSinceEpoch: 4_000_000_000)
      let first = try await place.owner.delegate(read: ["a"], write: [], until: until)
      let second = try await place.owner.delegate(read: ["a"], write: [], until: until)
      #expect(first == second)
    }
  }

  @Test func readsObjectsInPartsThatOthersMade() async throws {
    try await StoreKind.swift.with { place in
      guard let owner = place.owner as? SwiftObjectStore else { return }
      for (name, text) in [("parts/1", "abc"), ("parts/2", "defg")] {
        try await owner.put(name, from: .bytes(Array(text.utf8)))
      }
      var call = owner.call("PUT", "dynamic")
      call.set("x-object-manifest", "\(owner.settings.container)/pre%20fix/parts/")
      _ = try await owner.exchange.perform(call, key: "dynamic")
      let info = try #require(try await owner.head("dynamic"))
      #expect(info.size == 7)
      #expect(info.checksum == .opaque(info.tag))
      #expect(try await read(owner, "dynamic", nil, info.tag) == "abcdefg")
      #expect(try await read(owner, "dynamic", 2..<5, info.tag) == "cde")
      await expect(.changed) { _ = try await read(owner, "dynamic", 2..<5, "other") }
    }
  }

  private func authentication(_ kind: StoreKind) async throws -> SwiftAuthentication {
    let servers = try await OpenStack.shared
    switch kind {
    case .keystone, .application:
      return .applicationCredential(
        url: servers.keystone.authURL, id: servers.keystone.applicationID, secret: servers.keystone.applicationSecret)
    default: return .v1(url: servers.swift.authURL, user: servers.swift.user, key: servers.swift.password)
    }
  }

  private func fetch(_ url: String) async throws -> [UInt8] {
    let (data, _) = try await URLSession.shared.data(from: try #require(URL(string: url)))
    return Array(data)
  }
}
