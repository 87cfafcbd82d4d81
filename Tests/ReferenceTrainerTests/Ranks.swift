import Dispatch
import Foundation
import Glibc
import Synchronization
import TestKit

@testable import ReferenceTrainer

/// Ranks as threads of this process.
enum Ranks {
  /// Runs `body` once per index, each on a thread of its own: ranks wait for each other, tasks must not.
  static func onThreads<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) throws(TrainerError) -> Value
  ) -> [Result<Value, TrainerError>] {
    let outcomes = Outcomes<Value>()
    let done = DispatchGroup()
    for index in 0..<count {
      done.enter()
      Thread.detachNewThread {
        let result: Result<Value, TrainerError>
        do throws(TrainerError) {
          result = .success(try body(index))
        } catch {
          result = .failure(error)
        }
        outcomes.values.withLock { $0[index] = result }
        done.leave()
      }
    }
    done.wait()
    return outcomes.values.withLock { values in values.sorted { $0.key < $1.key }.map(\.value) }
  }

  private final class Outcomes<Value: Sendable>: Sendable {
    let values = Mutex<[Int: Result<Value, TrainerError>]>([:])
  }

  /// Forms a ring of threads and runs `body` on each.
  static func inRing<Value: Sendable>(
    _ worldSize: Int, _ body: @escaping @Sendable (Ring) throws(TrainerError) -> Value
  ) throws -> [Result<Value, TrainerError>] {
    let port = try PortClaim.make()
    return onThreads(worldSize) { (rank) throws(TrainerError) in
      try body(try rendezvous(rank: rank, of: worldSize, port: port).join())
    }
  }

  static func rendezvous(
    rank: Int, of worldSize: Int, port: UInt16, attempt: String = "1", fingerprint: String = "same",
    patience: Int = 60, leaving: Bool = false, log: @escaping (String) -> Void = { _ in }
  ) -> Rendezvous {
    Rendezvous(
      identity: RankIdentity(
        run: "run", attempt: attempt, rank: rank, worldSize: worldSize, fingerprint: fingerprint),
      master: Socket.Address(host: "127.0.0.1", port: port),
      patience: Patience(seconds: patience) { leaving }, session: "\(port)", log: log)
  }

  /// Calls the port, says something senseless, and goes.
  static func makeNoise(port: UInt16) -> Float {
    for words in ["GET / HTTP/1.1", "{}"] {
      do throws(Socket.Failure) {
        let socket = try Socket.connect(to: Socket.Address(host: "127.0.0.1", port: port))
        try LineChannel(socket).send(words, Patience(seconds: 5) { false })
      } catch {
        // Nobody listens yet, or no more: noise does not insist.
        continue
      }
    }
    return 0
  }
}
