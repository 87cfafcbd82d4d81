import Foundation
import Synchronization
import TestKit
import Testing

@testable import ReferenceTrainer

/// The rendezvous and the sums around the ring, with one thread per rank.
@Suite struct RingTests {
  @Test(arguments: 1...4, [1, 2, 3, 7, 1000, 100_003])
  func sumsInTheOrderOfTheRing(worldSize: Int, count: Int) throws {
    let inputs = (0..<worldSize).map { rank in
      var generator = SplitMix64(seed: UInt64(rank + 1))
      return generator.floats(count)
    }
    // Part p starts at rank p and goes around: that order, and no other, gives these bits.
    var expected = [Float](repeating: 0, count: count)
    for part in 0..<worldSize {
      for index in count * part / worldSize..<count * (part + 1) / worldSize {
        expected[index] = (1..<worldSize).reduce(inputs[part][index]) { $0 + inputs[(part + $1) % worldSize][index] }
      }
    }
    let results = try Ranks.inRing(worldSize) { (ring) throws(TrainerError) in
      let values = FloatBuffer(inputs[ring.rank])
      try ring.sum(values)
      return values.values
    }
    for result in results { #expect(try result.get() == expected) }
  }

  @Test func aRankThatLeavesIsNoticedByAll() throws {
    let results = try Ranks.inRing(3) { (ring) throws(TrainerError) -> [Float] in
      _ = try ring.sum([1])
      if ring.rank == 1 { return [] }
      return try ring.sum([Float](repeating: 1, count: 10_000))
    }
    for (rank, result) in results.enumerated() where rank != 1 {
      #expect(throws: TrainerError.self) { try result.get() }
      if case .failure(let error) = result { #expect(error.code == .peerLost) }
    }
  }

  @Test func aMissingRankIsNamed() throws {
    let port = try PortClaim.make()
    let rendezvous = Ranks.rendezvous(rank: 0, of: 3, port: port, patience: 1)
    #expect {
      try rendezvous.join()
    } throws: { error in
      (error as? TrainerError)?.code == .peerLost && "\(error)".contains("rank 1, 2")
    }
  }

  @Test func aMissingMasterIsNamed() throws {
    let port = try PortClaim.make()
    let rendezvous = Ranks.rendezvous(rank: 1, of: 2, port: port, patience: 1)
    #expect {
      try rendezvous.join()
    } throws: { error in
      (error as? TrainerError)?.code == .peerLost && "\(error)".contains("127.0.0.1:\(port)")
    }
  }

  @Test func aRequestToLeaveEndsTheWait() throws {
    for rank in 0..<2 {
      let rendezvous = Ranks.rendezvous(rank: rank, of: 2, port: try PortClaim.make(), patience: 60, leaving: true)
      #expect {
        try rendezvous.join()
      } throws: { error in
        (error as? TrainerError)?.code == .left
      }
    }
  }

  /// A rank of a former attempt comes first, then the rank that belongs.
  @Test func aStaleRankIsRefusedAndTheRightOneComesIn() throws {
    let port = try PortClaim.make()
    let refused = Mutex<[String]>([])
    let results: [Result<Int32, TrainerError>] = Ranks.onThreads(2) { (rank) throws(TrainerError) in
      if rank == 0 {
        let host = Ranks.rendezvous(rank: 0, of: 2, port: port, attempt: "2") { line in
          refused.withLock { $0.append(line) }
        }
        return Int32(try host.join().sum([1])[0])
      }
      var codes: [Int32] = []
      do throws(TrainerError) {
        _ = try Ranks.rendezvous(rank: 1, of: 2, port: port, attempt: "1").join()
      } catch {
        codes.append(error.code.rawValue)
      }
      codes.append(Int32(try Ranks.rendezvous(rank: 1, of: 2, port: port, attempt: "2").join().sum([1])[0]))
      return codes == [76, 2] ? 2 : -1
    }
    #expect(try results.map { try $0.get() } == [2, 2])
    #expect(refused.withLock { $0.contains { $0.contains("refused rank 1 of attempt 1") } })
  }

  @Test func noiseOnThePortHoldsNobodyUp() throws {
    let port = try PortClaim.make()
    let results: [Result<Float, TrainerError>] = Ranks.onThreads(3) { (index) throws(TrainerError) in
      if index == 2 { return Ranks.makeNoise(port: port) }
      return try Ranks.rendezvous(rank: index, of: 2, port: port).join().sum([1])[0]
    }
    #expect(try results[..<2].map { try $0.get() } == [2, 2])
  }

  @Test func aRankWithOtherSettingsEndsBoth() throws {
    let port = try PortClaim.make()
    let results: [Result<Int, TrainerError>] = Ranks.onThreads(2) { (rank) throws(TrainerError) in
      try Ranks.rendezvous(rank: rank, of: 2, port: port, fingerprint: "\(rank)").join().rank
    }
    for result in results {
      guard case .failure(let error) = result else {
        Issue.record("a rank with other settings was let in")
        continue
      }
      #expect(error.code == .refused)
      #expect(error.message.contains("settings"))
    }
  }
}
