import Domain
import ObjectStorage
import Synchronization
import Wire

/// Where data sets may be read in place: the account of the site's object store, which Baton's own credentials open.
///
/// Never what Baton itself keeps: objects of all projects lie there. Folders only where the settings name them: nodes
/// would have to see them, and nobody should have `batond` read files for him.
final class DataSources: Sendable {
  private let own: ObjectStoreLocation
  private let credentials: ObjectStoreCredentials?
  private let allowed: [ObjectStoreLocation]?
  /// Kept, so that one login does for many requests.
  private let opened = Mutex<[String: any ObjectStore]>([:])

  /// The account in which Baton's own objects are at `own`, or what of it is `allowed`.
  init(own: ObjectStoreLocation, credentials: ObjectStoreCredentials?, allowed: [ObjectStoreLocation]?) {
    self.own = own
    self.credentials = credentials
    self.allowed = allowed
  }

  /// Reads what a person wrote, and checks that it may be read.
  ///
  /// Throws `APIFailure`: `.badRequest` for no location or one of another kind of store, `.denied` for one that is closed.
  func location(_ text: String) throws(APIFailure) -> ObjectStoreLocation {
    let location: ObjectStoreLocation
    do throws(ObjectStoreLocation.SyntaxError) {
      location = try ObjectStoreLocation(text)
    } catch {
      throw APIFailure(.badRequest, error.description)
    }
    if location.overlaps(own) {
      throw APIFailure(.denied, "\(location) is where Baton keeps its own objects, of all projects: use another place")
    }
    if case .file = location, allowed == nil {
      throw APIFailure(
        .denied,
        "folders are not read in place here: send it with `baton data add NAME PATH`, "
          + "or have its folder named in data_sources of the server's configuration")
    }
    if let allowed, !allowed.contains(where: location.isBelow) {
      let places = allowed.map(\.description).joined(separator: ", ")
      throw APIFailure(
        .denied, "\(location) is not among the places that are open here: \(places.isEmpty ? "none are" : places)")
    }
    do throws(ObjectStoreError) {
      _ = try open(location)
    } catch {
      throw APIFailure(.badRequest, "\(location) cannot be opened: the site's object store is \(own.kind)")
    }
    return location
  }

  /// The store at a place that was registered.
  func store(of origin: String) throws -> any ObjectStore { try open(ObjectStoreLocation(origin)) }

  private func open(_ location: ObjectStoreLocation) throws(ObjectStoreError) -> any ObjectStore {
    if let known = opened.withLock({ $0[location.description] }) { return known }
    let store = try location.open(credentials)
    opened.withLock { $0[location.description] = store }
    return store
  }
}

extension ObjectStoreLocation {
  /// Of the same kind: which container, and what keys begin with.
  private var place: (kind: String, container: String, prefix: String) {
    switch self {
    case .file(let path): ("file", "", path.hasSuffix("/") ? path : path + "/")
    case .s3(let bucket, let prefix): ("s3", bucket, prefix)
    case .swift(let container, let prefix): ("swift", container, prefix)
    }
  }

  /// `s3`, `swift` or `file`.
  var kind: String { place.kind }

  /// Whether all that is here is also at `other`.
  func isBelow(_ other: ObjectStoreLocation) -> Bool {
    let (mine, theirs) = (place, other.place)
    return mine.kind == theirs.kind && mine.container == theirs.container && mine.prefix.hasPrefix(theirs.prefix)
  }

  /// Whether something can be at both.
  func overlaps(_ other: ObjectStoreLocation) -> Bool { isBelow(other) || other.isBelow(self) }
}

extension DataSources {
  /// A page of a listing; all stores give fewer where they give fewer.
  private static let pageSize = 10_000

  /// What is at `location`, by what the store says of it: nothing is read but names, lengths and checksums.
  ///
  /// Objects that only stand for a folder are left out. Throws `APIFailure` for what no data set can hold, and
  /// `ObjectStoreError`.
  func manifest(at location: ObjectStoreLocation, progress: (DataProgress) async -> Void) async throws -> Manifest {
    let store = try open(location)
    var entries: [ManifestEntry] = []
    var total = ByteCount.zero
    var marker: String?
    repeat {
      let page = try await store.list(prefix: "", after: marker, limit: Self.pageSize)
      for listed in page.entries where !listed.key.hasSuffix("/") {
        guard let info = try await settled(listed, at: location, store) else { continue }
        entries.append(try entry(info, at: location))
        total = total + ByteCount(info.size)
      }
      marker = page.next
      await progress(DataProgress(objects: entries.count, done: total))
    } while marker != nil
    guard !entries.isEmpty else { throw APIFailure(.badRequest, "there is no object at \(location)") }
    guard let manifest = Manifest(entries) else {
      throw APIFailure(
        .badRequest, "\(location) holds an object whose name is a folder of another: no disk can hold both, rename one")
    }
    return manifest
  }

  /// A listing of Swift has length 0 for an object that is put together from others: only asking for it tells.
  private func settled(
    _ listed: ObjectInfo, at location: ObjectStoreLocation, _ store: any ObjectStore
  ) async throws -> ObjectInfo? {
    guard listed.size == 0, case .swift = location else { return listed }
    return try await store.head(listed.key)
  }

  private func entry(_ info: ObjectInfo, at location: ObjectStoreLocation) throws(APIFailure) -> ManifestEntry {
    guard ManifestEntry.isSafe(path: info.key) else {
      throw APIFailure(
        .badRequest,
        "\(location) holds '\(info.key.debugDescription.dropFirst().dropLast())', "
          + "which is no name for a file below a folder: rename it")
    }
    guard !info.tag.isEmpty else {
      throw APIFailure(
        .badRequest,
        "the store does not say which version of '\(info.key)' it holds, so that it cannot be pinned: "
          + "send the data with `baton data add NAME PATH`")
    }
    return ManifestEntry(
      path: info.key, size: info.size, checksum: info.checksum ?? .opaque(info.tag), tag: info.tag)
  }
}
