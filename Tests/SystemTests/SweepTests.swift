import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// What cron calls, on checkpoints that a real program saved.
@Suite struct SweepTests {
  @Test func keepsWhatThePolicyAndPeopleKeepAndNamesWhatRotted() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let job = try await s.count("--steps 200", "checkpoint: {every: 2s, keep: {last: 1}}").id
      try await s.wait(job, .completed)
      let saved = try await s.client.checkpoints(of: "\(job)").items.filter { $0.state == .durable }
        .sorted { $0.step < $1.step }
      try #require(saved.count >= 3)
      let pinned = try await s.client.pin("\(saved[0].id)", PinRequest(note: "for the paper"))
      #expect(pinned.pins?.count == 1)

      let first = try await s.client.sweep()
      #expect(first.isHealthy && first.problems.isEmpty)
      #expect(Set(first.pruned) == Set(saved.dropFirst().dropLast().map(\.id)))
      let left = try await s.client.checkpoints(of: "\(job)").items.filter { $0.state == .durable }
      #expect(Set(left.map(\.id)) == Set([saved[0].id, saved[saved.count - 1].id]))

      // A byte of what is pinned turns over in the store, where nobody looks but a sweep.
      try s.rot(checkpoint: saved[0].prefix)
      let second = try await s.client.sweep()
      #expect(second.corrupt == [saved[0].id])
      #expect(!second.isHealthy)
    }
  }
}
