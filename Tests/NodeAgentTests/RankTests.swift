import Domain
import Testing
import Wire

@Suite(.timeLimit(.minutes(2)))
struct RankTests {
  @Test(arguments: [0, 1, 75, 85, 99])
  func reportsTheExitCode(code: Int32) async throws {
    try await AgentFixture.with { fixture in
      let (outcome, _) = try await fixture.run(try fixture.order("exit \(code)"), on: fixture.node())
      #expect(outcome.exits == [.init(rank: 0, code: code, signal: nil)])
      #expect(outcome.stopped == nil)
    }
  }

  @Test func reportsTheSignalThatEndedARank() async throws {
    try await AgentFixture.with { fixture in
      let (outcome, _) = try await fixture.run(try fixture.order("kill -SEGV $$"), on: fixture.node())
      #expect(outcome.exits == [.init(rank: 0, code: nil, signal: 11)])
    }
  }

  @Test func killsARankThatIgnoresSIGTERMAfterTheGrace() async throws {
    try await AgentFixture.with { fixture in
      let order = try fixture.order("trap '' TERM" + Script.wait, grace: 0.5)
      let follower = try await fixture.launch(order, on: fixture.node())
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      try #expect(await fixture.node().control(order.attempt, .stop(.cancelled)) == .ok)
      let outcome = try await follower.outcome()
      #expect(outcome.stopped == .cancelled)
      #expect(outcome.exits == [.init(rank: 0, code: nil, signal: 9, wasTold: true)])
    }
  }

  @Test func leavesNoDaemonBehind() async throws {
    try await AgentFixture.with { fixture in
      let script = """
        cd "$BATON_CHECKPOINT_DIR/.."; mkfifo told
        ( setsid bash -c 'echo $$ > daemon; echo > told; exec env -i sleep infinity' & ) &
        read -r < told
        """
      let node = fixture.node()
      let (outcome, _) = try await fixture.run(try fixture.order(script), on: node)
      #expect(outcome.exits.first?.code == 0)
      let pid = try #require(Int32(try fixture.text(node.folder() + "/daemon").filter(\.isNumber)))
      #expect(!isRunning(pid))
    }
  }

  @Test func endsTheOtherRanksWhenOneFails() async throws {
    try await AgentFixture.with { fixture in
      let script = "[ $RANK = 1 ] && exit 3; trap 'exit 85' TERM" + Script.wait
      let (outcome, _) = try await fixture.run(try fixture.order(script, processes: 2), on: fixture.node())
      #expect(outcome.exits.last == .init(rank: 1, code: 3, signal: nil))
      #expect(outcome.exits.first?.wasTold == true)
      #expect(outcome.exits.count == 2)
      #expect(outcome.stopped == nil)
    }
  }

  @Test func saysWhatProgramItLookedFor() async throws {
    try await AgentFixture.with { fixture in
      var order = try fixture.order("exit 0")
      order.command = ["no-such-trainer"]
      let (outcome, _) = try await fixture.run(order, on: fixture.node())
      #expect(outcome.launchError?.contains("no-such-trainer") == true)
      #expect(outcome.launchError?.contains("/usr/bin") == true)
      #expect(outcome.exits.isEmpty)
    }
  }

  @Test func saysWhyAProgramCannotBeExecuted() async throws {
    try await AgentFixture.with { fixture in
      var order = try fixture.order("exit 0")
      order.command = ["/etc/passwd"]
      let (outcome, _) = try await fixture.run(order, on: fixture.node())
      #expect(outcome.launchError?.contains("not executable") == true)
    }
  }

  @Test func givesRanksTheContractAndNothingElse() async throws {
    try await AgentFixture.with { fixture in
      var order = try fixture.order(
        "env > $BATON_CHECKPOINT_DIR/../env.$RANK; echo \"$@\" > $BATON_CHECKPOINT_DIR/../arguments")
      order.processesPerNode = 2
      order.gpus = [2, 3]
      order.environment = ["MINE": "yes", "BATON_SEED": "forged", "OMP_NUM_THREADS": "7"]
      order.command += ["--rank=$RANK/${WORLD_SIZE}", "$NOT_SET.", "5$", "${MINE"]
      let node = fixture.node()
      let (outcome, _) = try await fixture.run(order, on: node)
      #expect(outcome.exits.map(\.code) == [0, 0])
      let lines = Set(try fixture.text(node.folder() + "/env.1").split(separator: "\n").map(String.init))
      for expected in [
        "MINE=yes", "BATON_SEED=5", "OMP_NUM_THREADS=7", "RANK=1", "LOCAL_RANK=1", "WORLD_SIZE=2", "NODE_RANK=0",
        "LOCAL_WORLD_SIZE=2", "MASTER_ADDR=127.0.0.1", "MASTER_PORT=29500", "CUDA_VISIBLE_DEVICES=2,3",
        "BATON_GPUS=2,3",
        "BATON_JOB_ID=3", "BATON_RUN_ID=3", "BATON_ATTEMPT=1", "BATON_NUM_NODES=1", "BATON_NODE_RANK=0",
        "BATON_RESUME_FROM=", "BATON_DATA_DIR=", "BATON_LEASE_END=1900000000",
      ] { #expect(lines.contains(expected), "\(expected)") }
      #expect(lines.allSatisfy { !$0.hasPrefix("BATON_AGENT=") && !$0.hasPrefix("SWIFT") })
      let arguments = try fixture.text(node.folder() + "/arguments")
      #expect(arguments == "--rank=0/2 . 5$ ${MINE\n" || arguments == "--rank=1/2 . 5$ ${MINE\n")
    }
  }

  @Test func tellsRanksWhatTheirLauncherTells() async throws {
    try await AgentFixture.with { fixture in
      var order = try fixture.order("env > $BATON_CHECKPOINT_DIR/../env.$RANK", processes: 2)
      order.launcherKind = .torchrun
      order.gpus = [2, 3]
      order.environment = ["TORCHELASTIC_RUN_ID": "forged", "TORCH_NCCL_ASYNC_ERROR_HANDLING": "3"]
      let node = fixture.node()
      let (outcome, _) = try await fixture.run(order, on: node)
      #expect(outcome.exits.map(\.code) == [0, 0])
      let lines = Set(try fixture.text(node.folder() + "/env.1").split(separator: "\n").map(String.init))
      for expected in [
        "TORCHELASTIC_RUN_ID=attempt-7", "TORCH_NCCL_ASYNC_ERROR_HANDLING=3", "OMP_NUM_THREADS=1", "GROUP_RANK=0",
        "ROLE_RANK=1", "CUDA_VISIBLE_DEVICES=2,3",
      ] { #expect(lines.contains(expected), "\(expected)") }
    }
  }

  @Test func findsAPortForEachRankWhereTheLauncherNeedsOne() async throws {
    try await AgentFixture.with { fixture in
      var order = try fixture.order(
        "echo \"$TF_CONFIG $CUDA_VISIBLE_DEVICES\" > $BATON_CHECKPOINT_DIR/../tf.$RANK", processes: 2)
      order.launcherKind = .tensorflow
      order.gpus = [2, 3]
      let node = fixture.node()
      try #expect(await node.start(order) == .ok)
      let follower = try Follower(node, order.attempt)
      let staged = try await follower.event { if case .staged = $0 { true } else { false } }
      guard case .staged(let port, _, _, _, let told) = staged else { return }
      let ports = try #require(told)
      #expect(ports.count == 2 && Set(ports + [port]).count == 3, "\(ports), \(port)")
      try #expect(await node.control(order.attempt, .launch(masterPort: port, rankPorts: ports)) == .ok)
      #expect(try await follower.outcome().exits.map(\.code) == [0, 0])
      let workers = ports.map { "\"127.0.0.1:\($0)\"" }.joined(separator: ",")
      for rank in 0...1 {
        let task = #""task":{"type":"worker","index":\#(rank)}"#
        #expect(
          try fixture.text(node.folder() + "/tf.\(rank)")
            == "{\"cluster\":{\"worker\":[\(workers)]},\(task)} \(rank + 2)\n")
      }
    }
  }

  @Test func startsNoRankWhereOneWouldGetNoGPU() async throws {
    try await AgentFixture.with { fixture in
      var order = try fixture.order("exit 0", processes: 2)
      order.gpus = [0, 1, 2]
      order.gpuView = .own
      let (outcome, _) = try await fixture.run(order, on: fixture.node())
      #expect(outcome.launchError?.contains("3 GPUs cannot be shared evenly by 2 ranks") == true)
      #expect(outcome.exits.isEmpty)
    }
  }

  @Test func doesNotAskProgramsThatDoNotKnowTheSignal() async throws {
    try await AgentFixture.with { fixture in
      let order = try fixture.order("trap 'exit 0' TERM" + Script.wait)
      let node = fixture.node()
      let follower = try await fixture.launch(order, on: node)
      try await follower.event { if case .firstLine = $0 { true } else { false } }
      try #expect(await node.control(order.attempt, .checkpoint) == .ok)
      try #expect(await node.control(order.attempt, .stop(.cancelled)) == .ok)
      #expect(try await follower.outcome().exits == [.init(rank: 0, code: 0, signal: nil, wasTold: true)])
    }
  }

  @Test func killEndsEverythingAtOnce() async throws {
    try await AgentFixture.with { fixture in
      let order = try fixture.order("trap '' TERM" + Script.wait, grace: 600)
      let node = fixture.node()
      let follower = try await fixture.launch(order, on: node)
      try #expect(await node.control(order.attempt, .kill(.cancelled)) == .ok)
      let outcome = try await follower.outcome()
      #expect(outcome.exits == [.init(rank: 0, code: nil, signal: 9, wasTold: true)])
      #expect(outcome.stopped == .cancelled)
    }
  }
}
