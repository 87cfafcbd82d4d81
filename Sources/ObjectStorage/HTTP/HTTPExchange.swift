import Synchronization

/// Requests to one store, each tried as long as that is of use.
struct HTTPExchange: Sendable {
  let transport: HTTPTransport
  let dialect: any StoreDialect
  let policy: StoreRetryPolicy
  let pacing: Pacing
  /// The container or bucket; nil where it must not be looked at.
  var home: Home?

  static let success: Set<Int> = [200, 201, 202, 204]

  /// An answer, and the number of tries it took.
  struct Outcome: Sendable {
    var answer: HTTPAnswer
    var tries: Int
  }

  /// Makes `call` until it is answered with one of `accepting`, or until nothing is to be hoped for.
  ///
  /// - Parameter check: refuses an answer that came whole but makes no sense, such as a listing that was cut: it is
  ///   asked for again.
  func perform<Value>(
    _ call: HTTPCall, key: String, accepting: Set<Int> = success, limit: Int = 1 << 20,
    _ check: (HTTPAnswer) throws(TransportFailure) -> Value
  ) async throws(ObjectStoreError) -> (value: Value, tries: Int) {
    var attempt = Attempt(budget: RetryBudget(policy, now: pacing.now()), key: key, title: call.title)
    while true {
      attempt.tries += 1
      do {
        let signed = try await dialect.sign(call)
        let answer = try await transport.answer(signed, limit: limit)
        if accepting.contains(answer.status) { return (try check(answer), attempt.tries) }
        try await attempt.settle(answer, signed, self)
      } catch {
        try await attempt.settle(error, self)
      }
    }
  }

  /// Makes `call`, and hands out the answer.
  func perform(
    _ call: HTTPCall, key: String, accepting: Set<Int> = success, limit: Int = 1 << 20
  ) async throws(ObjectStoreError) -> HTTPAnswer {
    try await perform(call, key: key, accepting: accepting, limit: limit) { $0 }.value
  }

  /// Throws `.unavailable` where it is the container that is missing, which must not be taken for a missing object.
  ///
  /// Looked at once, when the first object is missing.
  func confirmHome(key: String) async throws(ObjectStoreError) {
    guard let home, !home.isThere.withLock({ $0 }) else { return }
    let call = HTTPCall(method: "HEAD", origin: "", path: home.path)
    // Who may not look at the container has to believe.
    if try await perform(call, key: key, accepting: [200, 204, 403, 404]).status == 404 {
      throw ObjectStoreError(.unavailable, key: key, reason: "there is no \(home.name)")
    }
    home.isThere.withLock { $0 = true }
  }

  /// Where all objects are.
  final class Home: Sendable {
    let path: String
    let name: String
    let isThere = Mutex(false)

    init(path: String, name: String) {
      self.path = path
      self.name = name
    }
  }

  /// What is left of the patience with one request.
  struct Attempt {
    var budget: RetryBudget
    let key: String
    let title: String
    var tries = 0
    private var wasDisbelieved = false

    init(budget: RetryBudget, key: String, title: String) {
      self.budget = budget
      self.key = key
      self.title = title
    }

    /// Returns when the request is to be made again after an answer that is no success; else throws.
    mutating func settle(_ answer: HTTPAnswer, _ signed: HTTPCall, _ exchange: HTTPExchange) async throws {
      if answer.status == 401 || answer.status == 403, !wasDisbelieved {
        wasDisbelieved = true
        if await exchange.dialect.mayBelieve(afterRefusal: answer, of: signed) { return }
      }
      throw StoreRefusal(answer, to: signed, key: key, dialect: exchange.dialect)
    }

    /// Returns, after a pause, when the request is to be made again after `error`; else throws.
    mutating func settle(_ error: any Error, _ exchange: HTTPExchange) async throws(ObjectStoreError) {
      var last: ObjectStoreError
      var asked: Duration?
      switch error {
      case let refusal as StoreRefusal:
        if !refusal.isTransient { throw refusal.error }
        last = refusal.error
        asked = refusal.pause
      case let failure as TransportFailure:
        last = ObjectStoreError(.unavailable, key: key, reason: "\(title): \(failure.reason)")
      case let error as ObjectStoreError:
        throw error.key.isEmpty ? ObjectStoreError(error.code, key: key, reason: error.reason) : error
      default:
        throw ObjectStoreError(.unavailable, key: key, reason: "\(title): \(error)")
      }
      let now = exchange.pacing.now()
      guard let pause = budget.pause(asked: asked, now: now, random: exchange.pacing.random()) else {
        if tries > 1 { last.reason += " (the last of \(tries) tries)" }
        if let asked { last.reason += "; the store asks to wait \(asked)" }
        throw last
      }
      exchange.pacing.hear(last, budget.waited(until: now) + pause)
      do { try await exchange.pacing.sleep(pause) } catch {
        throw ObjectStoreError(.unavailable, key: key, reason: "\(title): cancelled")
      }
    }
  }
}
