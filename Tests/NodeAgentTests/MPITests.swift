import Domain
import Foundation
import TestKit
import Testing
import Wire

/// One node of a job for Open MPI, with a stand-in for `mpirun` that asks for ranks as the real one and its daemons do.
@Suite(.timeLimit(.minutes(2)))
struct MPITests {
  /// Ranks 0 and 1 by `orte_fork_agent`, then an end as they have: `then` is run once both have.
  private func order(_ fixture: AgentFixture, _ script: String, mpirun: String) throws -> AttemptOrder {
    var order = try fixture.order("cd \"$BATON_CHECKPOINT_DIR/..\"\n" + script, processes: 2)
    order.launcherKind = .mpi
    let bin = fixture.scratch + "/bin"
    try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
    for (name, text) in [("mpirun", mpirun), ("orted", "echo \"$@\" > \"$BATON_CHECKPOINT_DIR/../orted\"")] {
      try Data(("#!/bin/bash\n" + text + "\n").utf8).write(to: URL(fileURLWithPath: "\(bin)/\(name)"))
      chmod("\(bin)/\(name)", 0o755)
    }
    order.environment["PATH"] = bin + ":/usr/bin:/bin"
    return order
  }

  private let both = """
    for rank in 0 1; do
      OMPI_COMM_WORLD_RANK=$rank PMIX_RANK=$rank LOST=1 $OMPI_MCA_orte_fork_agent /bin/true & all="$all $!"
    done
    for one in $all; do wait $one || exit 1; done
    """

  @Test func ranksAreStartedByTheSupervisorWithWhatTheirDaemonsTell() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let script = """
        path="$OMPI_MCA_btl_vader_backing_directory"; echo "$path" > path; [ -d "$path" ] && echo here > session

        """
      let told = "echo \"$RANK of $WORLD_SIZE: $PMIX_RANK ${LOST-clean}\"; exit 0"
      let (outcome, follower) = try await fixture.run(try order(fixture, script + told, mpirun: both), on: node)
      #expect(outcome.exits.map(\.code) == [0, 0], "\(outcome)")
      #expect(outcome.helpers == nil && outcome.launchError == nil)
      #expect(try fixture.text(node.folder() + "/logs/rank-1.log") == "1 of 2: 1 clean\n")
      let launches = follower.frames.filter { frame in
        if case .journal(let entry) = frame, case .launched = entry.event { true } else { false }
      }
      #expect(launches.count == 1)
      #expect(try fixture.text(node.folder() + "/session") == "here\n")
      #expect(!fixture.isThere(try fixture.text(node.folder() + "/path").trimmingCharacters(in: .newlines)))
    }
  }

  /// `mpirun` would end the others at once.
  @Test func aRankThatFailsIsNotToldToMPIButEndsTheOthersAsBatonDoes() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        mkfifo pipe 2>/dev/null
        if [ $RANK = 1 ]; then read -r < pipe; echo "no such layer"; exit 3; fi
        trap 'exit 85' TERM; echo go > pipe
        """
      let (outcome, _) = try await fixture.run(
        try order(fixture, script + Script.wait, mpirun: both), on: fixture.node())
      #expect(outcome.exits.map(\.code) == [85, 3], "\(outcome)")
      #expect(outcome.exits.last?.lastWords == "no such layer")
      #expect(outcome.helpers == nil, "mpirun was killed by Baton")
    }
  }

  @Test func whatMPIRunSaysIsTheReasonWhereItStartsNothing() async throws {
    try await AgentFixture.with { fixture in
      let (outcome, _) = try await fixture.run(
        try order(fixture, "exit 0", mpirun: "echo 'no route to host'; exit 1"), on: fixture.node())
      #expect(outcome.launchError == "Open MPI could not start the ranks, its mpirun ended: no route to host")
      #expect(outcome.exits.isEmpty)
    }
  }

  @Test func aDaemonIsStartedHereOrAskedForOnTheNodeThatItIsWantedOn() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let mpirun = """
        $OMPI_MCA_plm_rsh_agent 10.9.9.9 orted -mca ess env && exit 9
        $OMPI_MCA_plm_rsh_agent 127.0.0.1 ' orted' -mca ess '"env"' || exit 8
        $OMPI_MCA_plm_rsh_agent 10.0.0.2 orted -mca ess_base_vpid 2 || exit 7

        """
      var order = try order(fixture, "exit 0", mpirun: mpirun + both)
      order.nodeAddresses = ["127.0.0.1", "10.0.0.2"]
      let (outcome, follower) = try await fixture.run(order, on: node)
      #expect(outcome.exits.map(\.code) == [0, 0], "\(outcome)")
      #expect(try fixture.text(node.folder() + "/orted") == "-mca ess env\n")
      let wanted = follower.frames.compactMap { frame -> [String]? in
        guard case .journal(let entry) = frame, case .mpiDaemonWanted(1, let command) = entry.event else { return nil }
        return command
      }
      #expect(wanted == [["orted", "-mca", "ess_base_vpid", "2"]])
    }
  }

  @Test func nothingButADaemonIsStartedForTheController() async throws {
    try await AgentFixture.with { fixture in
      let node = fixture.node()
      let order = try order(fixture, "exit 0", mpirun: both)
      try #expect(await node.start(order) == .ok)
      let follower = try Follower(node, order.attempt)
      try await follower.event { if case .staged = $0 { true } else { false } }
      let reply = try await node.control(order.attempt, .mpiDaemon(command: ["rm", "-rf", "/"]))
      #expect(reply == .refused("this job needs no daemon 'rm'"))
      try #expect(await node.control(order.attempt, .mpiDaemon(command: ["orted", "early"])) == .ok)
      try #expect(await node.control(order.attempt, .launch(masterPort: 29_500)) == .ok)
      _ = try await follower.outcome()
      #expect(try fixture.text(node.folder() + "/orted") == "early\n")
    }
  }
}
