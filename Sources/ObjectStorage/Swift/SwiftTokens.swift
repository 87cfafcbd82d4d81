/// The token of a Swift account, shared by all requests: asked for once when many need it at the same moment, and again
/// before it ends.
actor SwiftTokens {
  private let login: SwiftLogin
  private var known: (session: SwiftSession, renewAt: Duration?)?
  private var asking: Task<Result<SwiftSession, ObjectStoreError>, Never>?

  init(_ login: SwiftLogin) { self.login = login }

  /// A token that is good for a while.
  ///
  /// - Parameter refused: one that the store did not believe: another is asked for, where that was not done meanwhile.
  func session(otherThan refused: String? = nil) async throws(ObjectStoreError) -> SwiftSession {
    if let known, known.session.token != refused, known.renewAt.map({ login.pacing.now() < $0 }) ?? true {
      return known.session
    }
    if let asking { return try await asking.value.get() }
    let task = Task { await renew() }
    asking = task
    return try await task.value.get()
  }

  /// Asks, and takes note of the token before anybody who waits for it goes on: they may come back at once.
  private func renew() async -> Result<SwiftSession, ObjectStoreError> {
    defer { asking = nil }
    let asked = login.pacing.now()
    do throws(ObjectStoreError) {
      let session = try await login.session()
      known = (session, session.renewAt(asked: asked))
      return .success(session)
    } catch {
      return .failure(error)
    }
  }
}

extension SwiftSession {
  /// When a token asked for at `asked` is to be replaced: five minutes before its end, or after nine tenths of a short
  /// life.
  func renewAt(asked: Duration) -> Duration? {
    life.map { asked + max($0 * 0.9, $0 - .seconds(300)) }
  }
}
