/// The newest checkpoint of an attempt that is over, where nobody knows it to be in the store.
public struct UnstoredCheckpoint: Hashable, Sendable, CustomStringConvertible {
  /// Its step.
  public var step: Int64
  /// Whether it was given up; else it may be whole in the store all the same, and only its last word was not heard.
  public var isRejected: Bool
  /// Why, as far as a node has told.
  public var reason: String?

  /// A checkpoint of `step`.
  public init(step: Int64, isRejected: Bool, reason: String?) {
    self.step = step
    self.isRejected = isRejected
    self.reason = reason
  }

  /// `its checkpoint of step 8 may not have reached the store: PUT was answered 503`.
  public var description: String {
    let what = isRejected ? "is of no use" : "may not have reached the store"
    return "its checkpoint of step \(step) \(what)" + (reason.map { ": \($0)" } ?? "")
  }
}
