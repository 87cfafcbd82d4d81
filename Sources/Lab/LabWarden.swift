import Domain
import Foundation
import Postgres
import Synchronization

/// Takes nodes away when their lease ends, as a testbed does: it asks nobody and knows nothing of jobs.
///
/// Decides by the clock of the lab's database and by what the database says of leases; the controller may be dead.
/// A lease has ended for a node at the upper end of its period, or when it was released before. What was wiped at or
/// after that moment is not wiped again, so that stopping and starting the warden takes nothing twice.
public struct LabWarden: Sendable {
  /// A node whose lease has ended since the node was last wiped.
  struct Due: Sendable, Hashable {
    /// The lease.
    var lease: LeaseID
    /// The name of the node.
    var node: String
    /// When it ended, by the database's clock.
    var ended: Timestamp
    /// When that was found, by the database's clock.
    var now: Timestamp
  }

  private let lab: Lab

  /// The warden of a lab.
  public init(_ lab: Lab) { self.lab = lab }

  /// Watches leases until the task is cancelled.
  ///
  /// Wakes on notifications, at the next end of a lease, and every second. A database that is away and a node that
  /// cannot be revoked are told to `log` and tried again; throws only when the lab is gone.
  public func run(log: @escaping @Sendable (String) -> Void = LabWarden.print) async throws {
    let conninfo = try lab.postgres.conninfo
    let options = PostgresOptions(applicationName: "baton-lab-warden")
    let pool = PostgresPool(conninfo, options: options, limits: .init(connections: 1))
    let listener = PostgresListener(conninfo, options: options, channels: ["baton"])
    let alarm = Alarm()
    log("watching the leases of the lab in \(lab.layout.root)")
    try await withThrowingDiscardingTaskGroup { group in
      group.addTask { try await listener.run() }
      group.addTask { for await _ in listener.events { alarm.ring() } }
      alarm.ring()
      for await _ in alarm.rings {
        var pause = Duration.seconds(1)
        do {
          pause = try await revokeDue(pool, log: log)
        } catch let error as LabError where error.code == .notALab {
          throw error
        } catch is CancellationError {
          throw CancellationError()
        } catch {
          log("will try again: \(error)")
        }
        let wait = pause
        let rest = alarm.set()
        group.addTask {
          try await Task.sleep(for: wait)
          alarm.expire(rest)
        }
      }
      throw CancellationError()
    }
  }

  /// Writes a line with the time to standard output.
  public static func print(_ line: String) {
    let text = "\(Date().ISO8601Format()) \(line)\n"
    FileHandle.standardOutput.write(Data(text.utf8))
  }

  /// Revokes every node that is due; how long until the next lease ends, at most a second.
  private func revokeDue(_ pool: PostgresPool, log: @escaping @Sendable (String) -> Void) async throws -> Duration {
    let (due, next) = try await findDue(pool)
    try await withThrowingDiscardingTaskGroup { group in
      for item in due {
        group.addTask {
          log("\(item.lease) ended at \(item.ended): taking \(item.node) away")
          do {
            try await lab.node(item.node).revoke(cleanSince: item.now.microseconds)
            log("\(item.node) is wiped and answers again")
          } catch let error as LabError where error.code != .notALab {
            // The other nodes are due as well; this one is found again at the next look.
            log("cannot take \(item.node) away yet: \(error)")
          }
        }
      }
    }
    return next
  }

  /// The nodes whose lease has ended since they were wiped, and how long until the next lease ends, at most a second.
  func findDue(_ pool: PostgresPool) async throws -> (due: [Due], next: Duration) {
    let cleanSince = try lab.cleanSince()
    let oldest = cleanSince.values.min() ?? 0
    let rows = try await pool.query(
      """
      SELECT x.lease_id, n.name, (extract(epoch FROM e.ended) * 1000000)::bigint AS ended,
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
      FROM lease_node x JOIN node n ON n.id = x.node_id,
        LATERAL (SELECT least(upper(x.period), x.released_at) AS ended) e
      WHERE lower(x.period) < e.ended AND lower(x.period) <= clock_timestamp()
        AND (extract(epoch FROM e.ended) * 1000000)::bigint > \(oldest)
      ORDER BY e.ended, x.lease_id, n.name
      """)
    var due: [Due] = []
    var next: Int64 = 1_000_000
    var found: Set<String> = []
    for row in rows {
      let node: String = try row.get("name")
      let ended: Int64 = try row.get("ended")
      let now: Int64 = try row.get("now")
      guard let clean = cleanSince[node], ended > clean else { continue }
      if ended > now {
        next = min(next, ended - now)
      } else if found.insert(node).inserted {
        due.append(
          Due(
            lease: LeaseID(try row.get("lease_id")), node: node, ended: Timestamp(microseconds: ended),
            now: Timestamp(microseconds: now)))
      }
    }
    return (due, .microseconds(next))
  }
}

/// Wakes one loop: when something happened, and when its rest is over.
///
/// A rest that ended early wakes nobody at its end: each notification would leave a clock behind that ticks for good.
final class Alarm: Sendable {
  /// Rings that were not heard yet are one.
  let rings: AsyncStream<Void>
  private let bell: AsyncStream<Void>.Continuation
  private let latest = Mutex(0)

  init() {
    (rings, bell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Something happened.
  func ring() { bell.yield() }

  /// Begins a rest, in place of the one before; gives its number.
  func set() -> Int {
    latest.withLock {
      $0 += 1
      return $0
    }
  }

  /// The time of a rest is over; rings, and returns true, only if no other one was begun since.
  @discardableResult
  func expire(_ rest: Int) -> Bool {
    guard latest.withLock({ $0 }) == rest else { return false }
    ring()
    return true
  }
}
