import Domain
import Wire

@testable import Commands

/// Values of the API for tests.
enum Samples {
  static let now = Timestamp(secondsSinceEpoch: 1_795_284_000)

  static func job(
    _ state: JobState, reason: String = "", checkpoint: Int? = nil, attempt: AttemptView? = nil, lastStep: Int? = nil,
    name: String = "mnist"
  ) -> JobView {
    JobView(
      id: JobID(17), name: name, project: "lab", user: "ada", state: state, reason: reason, reasonDetail: nil,
      priority: 50, nodes: 2, submittedAt: now - .minutes(5), startedAt: nil, endedAt: nil, exitCode: nil,
      attempt: attempt, checkpointStep: checkpoint, checkpointAt: checkpoint.map { _ in now - .seconds(12) },
      lastStep: lastStep, staging: nil)
  }

  static func attempt(_ number: Int, lease: String, nodes: [String], resumedFrom: Int? = nil) -> AttemptView {
    AttemptView(
      id: AttemptID(Int64(number)), number: number, lease: LeaseID(Int64(number)), leaseName: lease,
      leaseEnd: now + .seconds(41), state: .running, outcome: nil, detail: nil,
      nodes: nodes.enumerated().map { NodeRef(id: NodeID(Int64($0.offset + 1)), name: $0.element) }, createdAt: now,
      runningAt: now, endedAt: nil, resumedFromStep: resumedFrom)
  }
}
