import Crypto
import Domain
import Foundation
import Logging
import ObjectStorage
import Store
import Wire

/// Makes a manifest a version of a data set.
struct DatasetRegistration: Sendable {
  let services: Services
  let project: ProjectID
  let actor: Actor

  /// Puts the manifest into the store, and then the version into the database; what is there already is found.
  ///
  /// - Parameter origin: where the objects are read in place; nil where they are blobs.
  /// - Throws: `StoreError`, `ObjectStoreError`.
  func register(
    name: String, source: String, manifest: Manifest, origin: ObjectStoreLocation? = nil
  ) async throws -> DatasetView {
    let contentID = SHA256.hash(data: Data(manifest.canonicalText.utf8)).hexadecimal
    let bytes = try Self.encode(manifest)
    let key =
      origin == nil
      ? ObjectLayout.datasetManifest(contentID: contentID)
      // The same content at two places has one id and, by its tags, two manifests.
      : ObjectLayout.datasetManifest(
        contentID: contentID, pins: String(SHA256.hash(data: Data(bytes)).hexadecimal.prefix(16)))
    try await services.objects.put(key, from: .bytes(bytes))
    let newest = try await services.store.resolveDataset(name, project: project)
    var parent: DatasetParent?
    if let newest, newest.contentID != contentID {
      do {
        parent = DatasetParent(version: newest.id, changes: try await self.manifest(of: newest).changes(to: manifest))
      } catch let failure as APIFailure {
        // A version whose manifest is lost keeps nobody from adding the next.
        services.logger.warning("\(failure)")
      }
    }
    let (record, isNew) = try await services.store.addDatasetVersion(
      NewDatasetVersion(
        project: project, name: name, contentID: contentID, size: manifest.total, objects: manifest.entries.count,
        manifestKey: key, source: source, origin: origin?.description, parent: parent), by: actor)
    guard var view = try await DatasetView.build([record], services).first else {
      throw StoreError.unknownDataset(name: name, version: nil)
    }
    view.existed = !isNew
    return view
  }

  /// What is in a version.
  ///
  /// Throws `ObjectStoreError`, and `APIFailure` where the store has something else under its key.
  func manifest(of version: DatasetVersionRecord) async throws -> Manifest {
    let bytes = try await services.objects.bytes(version.manifestKey, limit: 1 << 30)
    guard let manifest = try? JSONDecoder().decode(Manifest.self, from: Data(bytes)),
      SHA256.hash(data: Data(manifest.canonicalText.utf8)).hexadecimal == version.contentID
    else {
      throw APIFailure(
        .unavailable,
        "the manifest of \(version.name) version \(version.version), \(version.manifestKey), is damaged: add it again")
    }
    return manifest
  }

  private static func encode(_ manifest: Manifest) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(manifest))
  }
}
