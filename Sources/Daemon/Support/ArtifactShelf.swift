import Domain
import ObjectStorage
import Synchronization
import Wire

/// What pages show of runs' artifacts, as far as a few requests to the object store tell, and kept for a moment: the page
/// of a run that trains is made anew at every change, and a store may be slow, or away.
///
/// Lost with the process, on purpose.
final class ArtifactShelf: Sendable {
  /// What was seen of a run.
  struct Glance: Hashable, Sendable {
    /// The newest of each path and node, by path and node.
    var items: [ArtifactView] = []
    /// Whether there was nothing more to look at.
    var isWhole = true
    /// Why the store could not tell.
    var problem: String?
  }

  private struct Kept {
    var standing: [String]
    var glance: Glance
    var until: ContinuousClock.Instant
  }

  /// How many objects a request asks for, and how many requests there are for a page.
  struct Limits: Hashable, Sendable {
    var objects = 1000
    var requests = 10
  }

  private static let patience = Duration.seconds(3)
  /// What nodes leave comes before the attempt's end is told, which asks anew; only what is found of a node that was
  /// away comes later.
  private static let freshness = Duration.seconds(30)

  private let kept = Mutex<[RunID: Kept]>([:])

  /// What is known of the artifacts of `run`, at most 30 s old and of these attempts as they stand; throws nothing, says
  /// what went wrong, and takes 3 s at most where the store can be left.
  func glance(at run: RunView, in objects: any ObjectStore) async -> Glance {
    let standing = run.attempts.map { "\($0.number) \($0.state) \($0.outcome?.rawValue ?? "")" }
    let now = ContinuousClock.now
    let known = kept.withLock { $0[run.id] }
    if let known, known.standing == standing, known.until > now { return known.glance }
    var glance = Glance()
    do {
      glance = try await Self.within(Self.patience) {
        try await Self.look(at: run.id, attempts: run.attempts.map(\.number), in: objects)
      }
    } catch {
      glance.problem = "\(error)"
    }
    let seen = Kept(standing: standing, glance: glance, until: now + Self.freshness)
    kept.withLock { kept in
      kept = kept.filter { $0.value.until > now }
      kept[run.id] = seen
    }
    return glance
  }

  /// Reads what is in the store of a run with these attempts, of the newest first where it is much.
  static func look(
    at run: RunID, attempts: [Int], in objects: any ObjectStore, within limits: Limits = Limits()
  ) async throws -> Glance {
    let first = try await objects.list(prefix: ObjectLayout.attempts(of: run), after: nil, limit: limits.objects)
    if first.next == nil { return Glance(items: ArtifactRoutes.newest(ArtifactRoutes.artifacts(in: first))) }
    var glance = Glance()
    var seen: Set<[String]> = []
    var requests = limits.requests
    attempts: for number in attempts.sorted(by: >) {
      var marker: String?
      repeat {
        guard requests > 0 else {
          glance.isWhole = false
          break attempts
        }
        requests -= 1
        let page = try await objects.list(
          prefix: ObjectLayout.attempt(of: run, number: number), after: marker, limit: limits.objects)
        // What a later attempt left counts.
        glance.items += ArtifactRoutes.artifacts(in: page).filter { seen.insert([$0.path, "\($0.nodeRank)"]).inserted }
        marker = page.next
      } while marker != nil
    }
    glance.items = ArtifactRoutes.sorted(glance.items)
    return glance
  }

  private static func within(
    _ limit: Duration, _ look: @escaping @Sendable () async throws -> Glance
  ) async throws -> Glance {
    try await withThrowingTaskGroup(of: Glance.self) { group in
      group.addTask { try await look() }
      group.addTask {
        try await Task.sleep(for: limit)
        return Glance(isWhole: false, problem: "it has not answered within \(limit.components.seconds) s")
      }
      defer { group.cancelAll() }
      return try await group.next() ?? Glance()
    }
  }
}
