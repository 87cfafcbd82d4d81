import Domain
import Foundation
import ObjectStorage
import TestKit
import Wire

/// Every way to reach objects; each runs the same tests.
enum StoreKind: String, CaseIterable, Sendable, CustomStringConvertible {
  case file, swift, keystone, application, s3, ec2, delegatedFile, delegatedSwift, delegatedS3

  var description: String { rawValue }

  /// Swift's temporary URLs can neither list nor join parts.
  var isLimited: Bool { self == .delegatedSwift }

  /// S3 wants 5 MiB in every part but the last.
  var leastPart: Int {
    switch self {
    case .s3, .ec2, .delegatedS3: 5 << 20
    default: 1
    }
  }

  static let http: [StoreKind] = allCases.filter { $0 != .file && $0 != .delegatedFile }

  /// The store as its owner sees it, in a container of its own: for `delegated...` the one that lends.
  struct Place: Sendable {
    /// What is tested.
    var store: any ObjectStore
    /// Whoever may do everything.
    var owner: any ObjectStore
  }

  /// Impatient: nothing on loopback takes long unless it is broken.
  static let quick = StoreRetryPolicy(
    tries: 5, firstPause: .milliseconds(5), longestPause: .milliseconds(50), budget: .seconds(40))

  /// Lends a store of this kind in a container or folder of its own.
  ///
  /// - Parameter through: where requests are sent instead of the server itself.
  func with(
    retry: StoreRetryPolicy = quick, patience: HTTPPatience = HTTPPatience(), pageSize: Int = 700,
    prefix: String = "pre fix/", pacing: Pacing = .live,
    through: (@Sendable (String) async throws -> String)? = nil,
    _ body: (Place) async throws -> Void
  ) async throws {
    let name = "t-\(UUID().uuidString.lowercased())"
    if self == .file || self == .delegatedFile {
      let root = FileManager.default.temporaryDirectory.appendingPathComponent(name).path
      let store = try FileObjectStore.creating(root: root)
      defer { try? FileManager.default.removeItem(atPath: root) }
      return try await body(
        Place(store: self == .file ? store : try await lent(store, retry, patience, pacing), owner: store))
    }
    let servers = try await OpenStack.shared
    let door = try await through?(self.door(servers)) ?? self.door(servers)
    let owner: any ObjectStore
    switch self {
    case .s3, .ec2, .delegatedS3:
      let isKeystone = self == .ec2
      let store = S3ObjectStore(
        S3Settings(
          endpoint: door, bucket: name, prefix: prefix, retry: retry, patience: patience, pageSize: pageSize,
          singlePutLimit: 6 << 20, partSize: 5 << 20),
        accessKey: isKeystone ? servers.keystone.accessKey : servers.swift.accessKey,
        secretKey: isKeystone ? servers.keystone.secretKey : servers.swift.secretKey, pacing: pacing)
      try await store.createBucket()
      owner = store
    default:
      let store = SwiftObjectStore(
        SwiftSettings(
          container: name, prefix: prefix, region: authentication(servers).1, retry: retry, patience: patience,
          pageSize: pageSize, singlePutLimit: 6 << 20, partSize: 1 << 20, manifestSize: 3),
        authentication: authentication(servers, door: through == nil ? nil : door).0, pacing: pacing)
      try await store.createContainer()
      owner = store
    }
    let isLent = self == .delegatedSwift || self == .delegatedS3
    try await body(Place(store: isLent ? try await lent(owner, retry, patience, pacing) : owner, owner: owner))
  }

  private func lent(
    _ store: any ObjectStore, _ retry: StoreRetryPolicy, _ patience: HTTPPatience, _ pacing: Pacing
  ) async throws -> any ObjectStore {
    let until = Timestamp(secondsSinceEpoch: Date().timeIntervalSince1970 + 3600)
    let access = try await store.delegate(read: ["read/"], write: ["k", "a", "é", "big"], until: until)
    let wire = try JSONEncoder().encode(access)
    return try JSONDecoder().decode(StoreAccess.self, from: wire).open(retry: retry, patience: patience, pacing: pacing)
  }

  /// The server that a test's fault stands before.
  private func door(_ servers: OpenStack) -> String {
    switch self {
    case .keystone, .application, .ec2: servers.keystone.url
    default: servers.swift.url
    }
  }

  private func authentication(_ servers: OpenStack, door: String? = nil) -> (SwiftAuthentication, String?) {
    let keystone = servers.keystone
    switch self {
    case .keystone:
      return (
        .password(
          url: keystone.authURL, user: keystone.user, userDomain: "default", password: keystone.password,
          project: keystone.project, projectDomain: "default"), keystone.region
      )
    case .application:
      return (
        .applicationCredential(url: keystone.authURL, id: keystone.applicationID, secret: keystone.applicationSecret),
        nil
      )
    default:
      let url = door.map { $0 + "/auth/v1.0" } ?? servers.swift.authURL
      return (.v1(url: url, user: servers.swift.user, key: servers.swift.password), nil)
    }
  }
}
