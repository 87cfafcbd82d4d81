public import Domain
import NIOHTTP1
public import Wire

extension BatonClient {
  /// The newest version of every data set.
  public func datasets() async throws -> Listing<DatasetView> { try await answer(.get("datasets")) }

  /// All versions of one data set, newest first.
  public func dataset(_ name: String) async throws -> Listing<DatasetView> { try await answer(.get("datasets", name)) }

  /// Registers a version of a data set whose objects the store has.
  ///
  /// The same content twice is one version.
  public func registerDataset(_ request: DatasetRequest) async throws -> DatasetView {
    try await answer(.post("datasets", json: request, isRepeatable: true))
  }

  /// Which of `blobs` the store does not have.
  public func missingBlobs(_ blobs: BlobList) async throws -> BlobList {
    try await answer(.post("blobs", "missing", json: blobs, isRepeatable: true))
  }

  /// Sends a file's content under its hash.
  ///
  /// - Parameter progress: called with the number of bytes that were read for sending since the last call; bytes
  ///   that are sent again are counted again.
  /// - Throws: besides what every method throws, `.unreadableFile`.
  public func uploadBlob(
    sha256: String, path: String, size: ByteCount, progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) async throws {
    let call = Call(
      method: .PUT, path: ["blobs", sha256], body: .file(path: path, size: size.bytes, progress), isRepeatable: true)
    _ = try await answer(call, as: BlobList.self)
  }

  /// What each version of a data set was made from, and which jobs used it; newest first.
  public func lineage(_ name: String) async throws -> Listing<LineageView> {
    try await answer(.get("datasets", name, "lineage"))
  }

  /// Registers objects of the site's object store as a data set that is read where it is.
  public func addInPlace(
    _ request: DatasetInPlaceRequest, progress: (DataProgress) -> Void = { _ in }
  ) async throws -> DatasetView {
    try await lastStep(of: .post("datasets", "in-place", json: request, isRepeatable: true), progress)
  }

  /// Writes a version as tar shards; asked again it goes on where it stopped.
  public func pack(
    _ name: String, _ request: PackRequest = PackRequest(), progress: (DataProgress) -> Void = { _ in }
  ) async throws -> PackView {
    try await lastStep(of: .post("datasets", name, "pack", json: request, isRepeatable: true), progress)
  }

  /// Brings a version to the nodes of a lease; asked again it goes on where it stopped.
  public func stage(
    _ name: String, _ request: StageRequest, progress: (DataProgress) -> Void = { _ in }
  ) async throws -> StageReport {
    try await lastStep(of: .post("datasets", name, "stage", json: request, isRepeatable: true), progress)
  }

  /// Removes copies from nodes.
  public func evict(_ name: String, _ request: EvictRequest = EvictRequest()) async throws -> EvictReport {
    try await answer(.post("datasets", name, "evict", json: request, isRepeatable: true, answerSeconds: 3600))
  }

  /// Has a version read back, in the store, on nodes, or both.
  public func verify(
    _ name: String, _ request: DataVerifyRequest, progress: (DataProgress) -> Void = { _ in }
  ) async throws -> DataVerification {
    try await lastStep(of: .post("datasets", name, "verify", json: request, isRepeatable: true), progress)
  }

  /// Hears how far something is until it ends.
  ///
  /// Throws `.refused` where it failed, and `.interrupted` where the server stopped before it was over.
  private func lastStep<Result: Hashable & Sendable & Codable>(
    of call: @autoclosure () throws -> Call, _ progress: (DataProgress) -> Void
  ) async throws -> Result {
    let call = try call()
    for try await step in EventStream<DataStep<Result>>(chunks: try await stream(call), name: "step") {
      if let now = step.progress { progress(now) }
      if let failure = step.failure { throw ClientFailure.refused(failure, status: 200, request: call.title) }
      if let result = step.result { return result }
    }
    throw ClientFailure.interrupted(request: call.title, reason: "the server stopped before it was done")
  }
}
