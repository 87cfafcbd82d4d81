import APIClient
import Domain
import Foundation
import Lab
import ObjectStorage
import TestKit
import Testing
import Wire

/// The whole product over object stores that are real servers: nodes have nothing but what is lent to them.
@Suite struct ObjectStoreTests {
  /// How `batond` reaches the same OpenStack.
  enum Door: String, CaseIterable, Sendable {
    case swift, applicationCredential, s3
  }

  @Test(arguments: Door.allCases) func carriesOneCurveOver(door: Door) async throws {
    try await Self.with(door) { objects in
      try await SystemFixture.with(nodes: 2, limit: .seconds(400), objects: objects) { s in
        _ = try await s.dataset("digits", .mebibytes(9))
        try await s.lease("first", nodes: ["n1"], seconds: 12)
        try await s.lease("second", nodes: ["n2"], seconds: 60, startIn: 12)
        let job = try await s.count("--steps 300", "data: [digits]").id
        let end = try await s.wait(job, .completed)
        #expect(end.exitCode == 0)
        try await s.expectOneCurve(job, steps: 300)
        let run = try await s.client.run("\(job)")
        #expect(run.stepsRedone == 0)
        #expect(run.attempts.map(\.outcome) == [.leaseEnded, .completed])
        #expect(run.checkpoints.contains { $0.state == .durable && $0.attemptNumber == 1 })
      }
    }
  }

  @Test func goesOnWritingWhenItsLeaseIsExtendedPastWhatWasLent() async throws {
    try await Self.with(.swift) { objects in
      try await SystemFixture.with(limit: .seconds(400), objects: objects) { s in
        try await s.lease("first", seconds: 8)
        let job = try await s.count("--steps 200").id
        try await s.reached(step: 5)
        _ = try await s.client.extendLease("first", LeaseExtension(by: "3m"))
        let end = try await s.wait(job, .completed)
        #expect(end.attempt?.number == 1)
        try await s.expectOneCurve(job, steps: 200)
      }
    }
  }

  /// Lends a container of its own, with the file that opens it.
  ///
  /// - Parameter through: where requests are sent instead of the object store itself.
  static func with(
    _ door: Door, through: String? = nil, _ body: (LabSettings.ObjectStoreChoice) async throws -> Void
  ) async throws {
    let servers = try await OpenStack.shared
    let name = "system-\(UUID().uuidString.lowercased())"
    let (swift, keystone) = (servers.swift, servers.keystone)
    let file: [String: [String: String]]
    switch door {
    case .swift:
      let user = SwiftAuthentication.v1(url: swift.authURL, user: swift.user, key: swift.password)
      try await SwiftObjectStore(SwiftSettings(container: name), authentication: user).createContainer()
      file = [
        "swift": [
          "auth_url": through.map { $0 + "/auth/v1.0" } ?? swift.authURL, "user": swift.user, "key": swift.password,
        ]
      ]
    case .applicationCredential:
      let user = SwiftAuthentication.applicationCredential(
        url: keystone.authURL, id: keystone.applicationID, secret: keystone.applicationSecret)
      try await SwiftObjectStore(SwiftSettings(container: name, region: keystone.region), authentication: user)
        .createContainer()
      file = [
        "swift": [
          "auth_url": keystone.authURL, "region": keystone.region,
          "application_credential_id": keystone.applicationID,
          "application_credential_secret": keystone.applicationSecret,
        ]
      ]
    case .s3:
      try await S3ObjectStore(
        S3Settings(endpoint: swift.url, bucket: name), accessKey: swift.accessKey, secretKey: swift.secretKey
      ).createBucket()
      file = ["s3": ["endpoint": through ?? swift.url, "access_key": swift.accessKey, "secret_key": swift.secretKey]]
    }
    let credentials = FileManager.default.temporaryDirectory.appendingPathComponent(name).path
    let isWritten = FileManager.default.createFile(
      atPath: credentials, contents: try JSONEncoder().encode(file), attributes: [.posixPermissions: 0o600])
    try #require(isWritten)
    defer { unlink(credentials) }
    let scheme = door == .s3 ? "s3" : "swift"
    try await body(.init(location: "\(scheme)://\(name)/baton", credentialsFile: credentials))
  }
}
