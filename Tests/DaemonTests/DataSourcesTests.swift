import Domain
import Foundation
import ObjectStorage
import Testing
import Wire

@testable import Daemon

@Suite struct DataSourcesTests {
  private let credentials = ObjectStoreCredentials.s3(
    S3Credentials(
      endpoint: "http://127.0.0.1:1", region: "us-east-1", isVirtualHosted: false, accessKey: "a", secretKey: "s"))

  private func sources(_ own: String, allowed: [String]? = nil) throws -> DataSources {
    DataSources(
      own: try ObjectStoreLocation(own), credentials: credentials, allowed: try allowed?.map(ObjectStoreLocation.init))
  }

  private func refusal(_ sources: DataSources, _ text: String) -> APIFailure.Code? {
    do throws(APIFailure) {
      _ = try sources.location(text)
      return nil
    } catch {
      return error.code
    }
  }

  @Test func readsTheWholeAccountButWhereBatonKeepsItsOwn() throws {
    let sources = try sources("s3://site/baton")
    for open in ["s3://other", "s3://other/prefix", "s3://site/photos", "s3://site/baton-2"] {
      #expect(refusal(sources, open) == nil, "\(open)")
    }
    for closed in ["s3://site", "s3://site/baton", "s3://site/baton/runs/3", "file:///etc"] {
      #expect(refusal(sources, closed) == .denied, "\(closed)")
    }
    for wrong in ["photos", "s3://x", "swift://container", "https://site/photos"] {
      #expect(refusal(sources, wrong) == .badRequest, "\(wrong)")
    }
  }

  @Test func readsOnlyWhatTheSettingsName() throws {
    let sources = try sources("s3://site/baton", allowed: ["s3://photos/2026", "file:///srv/data"])
    for open in ["s3://photos/2026", "s3://photos/2026/may", "file:///srv/data", "file:///srv/data/x"] {
      #expect(refusal(sources, open) == nil, "\(open)")
    }
    for closed in ["s3://photos", "s3://photos/2026b", "s3://other", "file:///srv/database", "file:///srv"] {
      #expect(refusal(sources, closed) == .denied, "\(closed)")
    }
  }

  @Test func aManifestSaysWhatIsThere() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("baton-\(UUID().uuidString)").path
    let store = try FileObjectStore.creating(root: folder)
    defer { do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record(error) } }
    let sources = try sources("s3://site/baton", allowed: ["file://" + folder])
    let location = try sources.location("file://" + folder)
    await #expect(throws: APIFailure.self) { try await sources.manifest(at: location) { _ in } }
    for name in ["b", "a/c", "a/b"] { try await store.put(name, from: .bytes(Array(name.utf8))) }
    let manifest = try await sources.manifest(at: location) { _ in }
    #expect(manifest.entries.map(\.path) == ["a/b", "a/c", "b"])
    #expect(manifest.entries.map(\.size) == [3, 3, 1])
    #expect(manifest.entries.allSatisfy { $0.tag?.isEmpty == false })
    #expect(try await sources.manifest(at: location) { _ in } == manifest)
  }
}
