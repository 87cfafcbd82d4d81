public import Wire

extension StoreAccess {
  /// The store that is lent.
  public func open(
    retry: StoreRetryPolicy = StoreRetryPolicy(), patience: HTTPPatience = HTTPPatience(), pacing: Pacing = .live
  ) -> any ObjectStore {
    switch self {
    case .folder(let path, let identity): FileObjectStore(root: path, identity: identity)
    case .swiftTempURL(let access): TempURLObjectStore(access, retry: retry, patience: patience, pacing: pacing)
    case .s3(let access): S3ObjectStore(access, retry: retry, patience: patience, pacing: pacing)
    }
  }
}
