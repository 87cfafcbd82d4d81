import ObjectStorage
import Wire

extension StoreAccess {
  /// The store that an order names.
  func open() -> any ObjectStore {
    switch self {
    case .folder(let path): FileObjectStore(root: path)
    }
  }
}

/// Tries again, ever more slowly, what a store may do later; up to `tries` times, or until the task is cancelled.
func retrying<Value: Sendable>(tries: Int = .max, _ body: () async throws -> Value) async throws -> Value {
  var pause = 0.1
  var left = tries
  while true {
    do {
      return try await body()
    } catch let error as ObjectStoreError {
      left -= 1
      guard error.isWorthRetrying, left > 0 else { throw error }
    }
    try await Task.sleep(for: .seconds(pause))
    pause = min(5, pause * 2)
  }
}
