import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct AttemptTests {
  @Test func showsThatSomethingAboutAJobKeepsFailing() async throws {
    try await StoreFixture.with { f in
      let job = try await f.job()
      #expect(try await f.store.recordTrouble(of: job, "no answer", by: f.epoch) == .done(job))
      let event = try #require(try await f.store.events(limit: 1).first)
      #expect(event.action == "job.trouble" && event.subject == Subject(job) && event.project == f.project)
      #expect(event.detail == ["reason": "no answer"])
      #expect(try await f.store.recordTrouble(of: JobID(99), "no answer", by: f.epoch) == .stale)
    }
  }

  @Test func showsWhatIsNotKeptOfAJobsArtifacts() async throws {
    try await StoreFixture.with { f in
      let job = try await f.job()
      #expect(try await f.store.recordTrouble(of: job, "another", by: f.epoch) == .done(job))
      for attempt in 1...2 {
        let recorded = try await f.store.recordMissingArtifacts(
          of: job, attempt: attempt, node: "n\(attempt)", "1 of 3", by: f.epoch)
        #expect(recorded == .done(job))
      }
      let missing = try await f.store.missingArtifacts(of: job)
      #expect(missing.map { "\($0.attempt) \($0.node) \($0.reason)" } == ["1 n1 1 of 3", "2 n2 1 of 3"])
      // It is among the job's troubles.
      var filter = EventFilter()
      filter.action = "job.trouble"
      #expect(try await f.store.events(filter).count == 3)
      #expect(try await f.store.missingArtifacts(of: JobID(99)).isEmpty)
      let unknown = try await f.store.recordMissingArtifacts(of: JobID(99), attempt: 1, node: "n", "x", by: f.epoch)
      #expect(unknown == .stale)
    }
  }

  @Test func movesWithItsJobFromStagingToItsEnd() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1"), f.node("n2")])
      let job = try await f.job()
      let attempt = try await f.start(job, lease, gpus: [0, 1])
      #expect(attempt.number == 1)
      #expect(attempt.placement.shares.map(\.gpus) == [[0, 1], [0, 1]])
      #expect(attempt.nodes.map(\.rank) == [0, 1])
      #expect(try await f.store.job(job).state == .staging)
      #expect(try await f.store.markRunning(attempt.id, by: f.epoch) == .stale)
      #expect(try await f.store.markCheckpointing(attempt.id, by: f.epoch) == .stale)
      #expect(try await f.store.markLaunching(attempt.id, masterPort: 4000, by: f.epoch) == .done(attempt.id))
      #expect(try await f.store.markLaunching(attempt.id, masterPort: 4001, by: f.epoch) == .stale)
      #expect(try await f.store.markRunning(attempt.id, by: f.epoch) == .done(attempt.id))
      #expect(try await f.store.job(job).state == .running)
      #expect(try await f.store.job(job).attempt == attempt.id)
      #expect(try await f.store.job(job).lease == lease.id)
      #expect(try await f.store.liveAttempts().map(\.id) == [attempt.id])
      #expect(try await f.store.markCheckpointing(attempt.id, by: f.epoch) == .done(attempt.id))
      #expect(try await f.store.job(job).state == .checkpointing)
      #expect(try await f.end(attempt.id, .completed, exitCode: 0).state == .completed)
      let over = try await f.store.attempt(attempt.id)
      #expect(over.state == .ended)
      #expect(over.outcome == .completed)
      #expect(over.masterPort == 4000)
      #expect(over.endedAt != nil)
      #expect(try await f.store.job(job).exitCode == 0)
      #expect(try await f.store.liveAttempts().isEmpty)
      #expect(try await f.store.attempts(of: job) == [over])
      #expect(try await f.number("SELECT count(*) AS n FROM attempt_gpu WHERE live") == 0)
    }
  }

  @Test func endsOnce() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      _ = try await f.end(attempt.id, .completed)
      let again = AttemptEnding(attempt: attempt.id, outcome: .failed, exitCode: 1)
      #expect(try await f.store.endAttempt(again, by: f.epoch).isStale)
      #expect(try await f.store.markCheckpointing(attempt.id, by: f.epoch) == .stale)
      let code = try await postgresCode {
        try await f.pool.execute("UPDATE attempt SET state = 'RUNNING', outcome = NULL, ended_at = NULL")
      }
      #expect(code == .checkViolation)
    }
  }

  /// Each makes the world differ from what the planner saw.
  enum Change: CaseIterable {
    case jobHeld, jobCancelled, leaseEnding, leaseOver, leaseOfAnother, nodeSuspect, nodeDrained, nodeElsewhere, noGPU
  }

  @Test(arguments: Change.allCases)
  func isStaleWhenTheWorldHasChanged(change: Change) async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let lease = try await f.lease("exp", [node])
      let job = try await f.job()
      var start = Start(job: job, lease: lease.id, placement: Placement(shares: [.init(node: node, gpus: [0])]))
      switch change {
      case .jobHeld: _ = try await f.store.holdJob(job, by: f.actor)
      case .jobCancelled: _ = try await f.store.cancelJob(job, by: f.actor)
      case .leaseEnding: _ = try await f.store.markEndingLeases(lead: .hours(3), by: f.epoch)
      case .leaseOver: try await f.expire(lease.id)
      case .leaseOfAnother:
        let other = try await f.store.ensureProject("other")
        try await f.pool.execute("UPDATE lease SET project_id = \(other)")
      case .nodeSuspect: _ = try await f.store.setNodeState(node, to: .suspect, by: f.epoch)
      case .nodeDrained: _ = try await f.store.drainNode(node, reason: "fan", by: f.actor)
      case .nodeElsewhere: start.placement.shares[0].node = try await f.node("n2")
      case .noGPU: start.placement.shares[0].gpus = [7]
      }
      #expect(try await f.store.start(start, by: f.epoch).isStale)
      #expect(try await f.number("SELECT count(*) AS n FROM attempt") == 0)
    }
  }

  @Test func aGPUOrAWholeNodeIsHeldOnce() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let lease = try await f.lease("exp", [node])
      _ = try await f.start(f.job("first"), lease, gpus: [0])
      let second = try await f.job("second")
      func start(_ gpus: [Int]) async throws -> Guarded<AttemptRecord> {
        let placement = Placement(shares: [.init(node: node, gpus: gpus)])
        return try await f.store.start(Start(job: second, lease: lease.id, placement: placement), by: f.epoch)
      }
      #expect(try await start([0]).isStale)
      #expect(try await start([]).isStale)
      #expect(try await start([1]).value != nil)
      let third = try await f.job("third")
      let placement = Placement(shares: [.init(node: try await f.node("cpu", gpus: 0), gpus: [])])
      let other = try await f.lease("cpu", placement.nodes)
      let whole = Start(job: third, lease: other.id, placement: placement)
      #expect(try await f.store.start(whole, by: f.epoch).value != nil)
      let fourth = Start(job: try await f.job("fourth"), lease: other.id, placement: placement)
      #expect(try await f.store.start(fourth, by: f.epoch).isStale)
    }
  }

  @Test func theDatabaseItselfKeepsAGPUAndAJobToOneLiveAttempt() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let lease = try await f.lease("exp", [node])
      let first = try await f.start(f.job("first"), lease, gpus: [0])
      let second = try await f.start(f.job("second"), lease, gpus: [1])
      let twice = try await postgresCode {
        try await f.pool.execute(
          "INSERT INTO attempt_gpu (attempt_id, node_id, gpu_index) VALUES (\(second.id), \(node), 0)")
      }
      #expect(twice == .uniqueViolation)
      let another = try await postgresCode {
        try await f.pool.execute(
          """
          INSERT INTO attempt (job_id, number, lease_id, controller_epoch) VALUES (\(first.job), 2, \(lease.id), 1)
          """)
      }
      #expect(another == .uniqueViolation)
    }
  }

  @Test func theDatabaseItselfRefusesAnAttemptOutsideItsLease() async throws {
    try await StoreFixture.with { f in
      let lease = try await f.lease("exp", [f.node("n1")])
      let stranger = try await f.node("n2")
      let attempt = try await f.start(f.job(), lease)
      let elsewhere = try await postgresCode {
        try await f.pool.execute(
          """
          INSERT INTO attempt_node (attempt_id, node_id, node_rank, whole) VALUES (\(attempt.id), \(stranger), 1, true)
          """)
      }
      #expect(elsewhere == .checkViolation)
      let outlives = try await postgresCode {
        try await f.pool.execute("UPDATE lease SET state = 'TERMINATED', terminated_at = clock_timestamp()")
      }
      #expect(outlives == .checkViolation)
      try await f.expire(lease.id)
      let late = try await postgresCode {
        try await f.pool.execute(
          """
          INSERT INTO attempt (job_id, number, lease_id, controller_epoch)
          VALUES (\(try await f.job("late")), 1, \(lease.id), 1)
          """)
      }
      #expect(late == .checkViolation)
      _ = try await f.store.terminateDueLeases(by: f.epoch)
    }
  }

  @Test func ofTwoStartsOfOneJobOneWins() async throws {
    try await StoreFixture.with { f in
      let nodes = try await [f.node("n1"), f.node("n2")]
      let lease = try await f.lease("exp", nodes)
      let job = try await f.job()
      let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
        for number in 0..<6 {
          group.addTask {
            let share = Placement.Share(node: nodes[number % 2], gpus: [0])
            let start = Start(job: job, lease: lease.id, placement: Placement(shares: [share]))
            return try await f.store.start(start, by: f.epoch).value != nil
          }
        }
        return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
      }
      #expect(wins == 1)
    }
  }

  @Test func ofTwoControllersOnlyTheOneInTurnStarts() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let lease = try await f.lease("exp", [node])
      let jobs = try await [f.job("a"), f.job("b")]
      let new = try #require(try await f.store.takeControl(holder: "new", patience: .zero).value)
      let started = try await withThrowingTaskGroup(of: AttemptRecord?.self) { group in
        for (job, epoch) in zip(jobs, [f.epoch, new]) {
          group.addTask {
            let start = Start(job: job, lease: lease.id, placement: Placement(shares: [.init(node: node, gpus: [0])]))
            return try await f.store.start(start, by: epoch).value
          }
        }
        return try await group.reduce(into: []) { $0 += [$1].compactMap(\.self) }
      }
      #expect(started.map(\.job) == [jobs[1]])
      #expect(started.map(\.controllerEpoch) == [new])
    }
  }

  @Test func remembersWhatAgentsSay() async throws {
    try await StoreFixture.with { f in
      let attempt = try await f.run(f.job(), f.lease("exp", [f.node("n1")]))
      let node = try #require(attempt.nodes.first).node
      func hear(_ sequence: Int64) async throws -> Guarded<AttemptID> {
        try await f.store.recordContact(
          attempt.id, node: node, agentState: "running", journalSequence: sequence, by: f.epoch)
      }
      #expect(try await hear(7) == .done(attempt.id))
      #expect(try await hear(6) == .stale)
      let heard = try #require(try await f.store.attempt(attempt.id).nodes.first)
      #expect(heard.journalSequence == 7)
      #expect(heard.agentState == "running")
      #expect(heard.lastContactAt != nil)
    }
  }

  @Test func keepsWhatIsAskedOfItUntilEveryNodeWasTold() async throws {
    try await StoreFixture.with { f in
      let job = try await f.job()
      #expect(try await f.store.askForCheckpoint(of: job) == .stale)
      #expect(try await f.store.askForKill(of: job) == .stale)
      let attempt = try await f.run(job, f.lease("exp", [f.node("n1")]))
      #expect(try await f.store.askForCheckpoint(of: job) == .done(attempt.id))
      // Whoever decides next finds it there.
      let next = try #require(try await f.store.takeControl(holder: "test", patience: .zero).value)
      let asked = try #require(try await f.store.liveAttempts().first?.checkpointAskedAt)
      #expect(try await f.store.markCheckpointTold(attempt.id, asked: asked, by: f.epoch) == .stale)
      // Asked again meanwhile: that is another wish.
      _ = try await f.store.askForCheckpoint(of: job)
      #expect(try await f.store.markCheckpointTold(attempt.id, asked: asked, by: next) == .stale)
      let again = try #require(try await f.store.attempt(attempt.id).checkpointAskedAt)
      #expect(again > asked)
      #expect(try await f.store.markCheckpointTold(attempt.id, asked: again, by: next) == .done(attempt.id))
      #expect(try await f.store.attempt(attempt.id).checkpointAskedAt == nil)
      #expect(try await f.store.askForKill(of: job) == .done(attempt.id))
      #expect(try await f.store.liveAttempts().first?.killAskedAt != nil)
    }
  }
}
