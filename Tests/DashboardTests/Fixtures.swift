import Domain
import Wire

@testable import Dashboard

/// Values as a server would give them, at one fixed moment.
enum Fixture {
  static let now = Timestamp(microseconds: 1_795_285_205_000_000)
  static let frame = Frame(viewer: .init(user: "mira", project: "vision"), controllerEpoch: 7, now: now)

  static func node(_ number: Int) -> NodeRef { NodeRef(id: NodeID(Int64(number)), name: "n\(number)") }

  static func attempt(
    _ number: Int, lease: Int, began: Timestamp, ended: Timestamp?, outcome: AttemptOutcome?, resumed: Int?,
    state: AttemptState = .running, nodes: [Int] = [1, 2]
  ) -> AttemptView {
    AttemptView(
      id: AttemptID(Int64(100 + number)), number: number, lease: LeaseID(Int64(lease)), leaseName: "week-\(lease)",
      leaseEnd: now + .minutes(83), state: outcome == nil ? state : .ended, outcome: outcome,
      detail: outcome == .leaseEnded ? "the lease ended, saved before at step \(number * 400)" : nil,
      nodes: nodes.map(node), createdAt: began, runningAt: began + .seconds(40), endedAt: ended,
      resumedFromStep: resumed)
  }

  static func job(
    _ number: Int, _ name: String, _ state: JobState, reason: String = "", detail: String? = nil,
    attempt: AttemptView? = nil, lastStep: Int? = nil, checkpoint: Int? = nil
  ) -> JobView {
    JobView(
      id: JobID(Int64(number)), name: name, project: "vision", user: "mira", state: state, reason: reason,
      reasonDetail: detail, priority: 50, nodes: 2, submittedAt: now - .hours(5), startedAt: nil,
      endedAt: state.isFinal ? now - .hours(1) : nil, exitCode: state == .failed ? 3 : state == .completed ? 0 : nil,
      attempt: attempt, checkpointStep: checkpoint, checkpointAt: checkpoint.map { _ in now - .seconds(252) },
      lastStep: lastStep,
      staging: state == .staging ? .init(done: .mebibytes(700), total: .gibibytes(2)) : nil)
  }

  static var running: JobView {
    job(
      17, "mnist-cnn", .running,
      attempt: attempt(3, lease: 3, began: now - .minutes(37), ended: nil, outcome: nil, resumed: 800), lastStep: 1187,
      checkpoint: 1100)
  }

  static var jobs: [JobView] {
    [
      running,
      job(
        18, "resnet-sweep-lr3e-4", .staging,
        attempt: attempt(
          1, lease: 3, began: now - .minutes(1), ended: nil, outcome: nil, resumed: nil, state: .staging, nodes: [3])),
      job(
        19, "bert-base", .pending, reason: "LeaseTooShort",
        detail: "lease-3 has 1h 23m left, and staging, launch, restore, one checkpoint interval and the last save need "
          + "2h 10m: extend it with `baton lease extend`, or lower checkpoint.every or time.min"),
      job(
        16, "gpt-tiny", .leaseWait, reason: "NoLease",
        detail: "the project has no lease, now or to come: make one with `baton lease create`", lastStep: 20_400,
        checkpoint: 20_400),
      job(15, "held-back", .held, reason: "Held", detail: "held by a person: release it with `baton job release`"),
    ]
  }

  static var over: [JobView] {
    [
      job(14, "mnist-cnn", .completed, lastStep: 4000, checkpoint: 4000),
      job(13, "mnist-cnn-broken", .failed, reason: "ProgramFailed", lastStep: 12),
      job(12, "tried", .cancelled, reason: "Cancelled"),
    ]
  }

  static func lease(
    _ number: Int, _ name: String, _ state: LeaseState, from start: Timestamp, to end: Timestamp, nodes: [Int],
    jobs: [Int] = [], degraded: Bool = false
  ) -> LeaseView {
    LeaseView(
      id: LeaseID(Int64(number)), name: name, project: "vision", state: state, degraded: degraded, start: start,
      end: end, nodes: nodes.map(node), jobs: jobs.map { JobID(Int64($0)) })
  }

  static var leases: [LeaseView] {
    [
      lease(1, "week-1", .terminated, from: now - .hours(5), to: now - .hours(3), nodes: [1, 2]),
      lease(2, "week-2", .terminated, from: now - .hours(2), to: now - .minutes(50), nodes: [1, 2]),
      lease(
        3, "week-3", .active, from: now - .minutes(40), to: now + .minutes(83), nodes: [1, 2, 3], jobs: [17, 18],
        degraded: true),
      lease(4, "night", .ending, from: now - .hours(3), to: now + .seconds(8), nodes: [4]),
      lease(5, "tomorrow-morning", .pending, from: now + .hours(3), to: now + .hours(7), nodes: [1, 2, 4]),
    ]
  }

  static func machine(_ number: Int, _ state: NodeState, gpus: [NodeView.GPU], drained: Bool = false) -> NodeView {
    NodeView(
      id: NodeID(Int64(number)), name: "n\(number)", address: "10.0.0.1\(number)", port: 22, user: "cc",
      hostKeyFingerprint: "SHA256:abc", nodeType: gpus.isEmpty ? "cpu" : "gpu_a100", state: state,
      detail: state == .suspect ? "no answer for 40s: connection refused" : drained ? "fan is broken" : nil,
      drained: drained, gpus: gpus, cores: 64, memory: .gibibytes(256), diskTotal: .gibibytes(1788),
      diskFree: .gibibytes(number == 3 ? 60 : 1200), lastSeen: now - .seconds(number * 3),
      lease: number < 4 ? LeaseID(3) : nil, job: number < 3 ? JobID(17) : nil,
      software: ["driver": "535.129", "cuda": "12.2"])
  }

  static var nodes: [NodeView] {
    let real = (0..<4).map {
      NodeView.GPU(index: $0, model: "NVIDIA A100-SXM4-80GB", memory: .gibibytes(80), isStandIn: false)
    }
    let standIn = NodeView.GPU(
      index: 0, model: "Lab GPU", memory: .gibibytes(16), isStandIn: true)
    return [
      machine(1, .alive, gpus: real), machine(2, .alive, gpus: real), machine(3, .suspect, gpus: [standIn]),
      machine(4, .alive, gpus: [], drained: true),
    ]
  }

  static var events: [EventView] {
    let lines = [
      ("controller:7", "attempt.running", "attempt-103", "job job-17, nodes 2"),
      ("controller:7", "checkpoint.durable", "checkpoint-41", "job job-17, step 1100, took 3.2s"),
      ("controller:7", "lease.active", "lease-3", ""), ("mira", "job.submitted", "job-19", "name bert-base"),
      ("controller:7", "attempt.ended", "attempt-102", "job job-17, outcome LEASE_ENDED"),
      ("admin", "node.drained", "node-4", "reason fan is broken"),
    ]
    return lines.enumerated().map { place, line in
      EventView(
        id: EventID(Int64(900 - place)), at: now - .seconds(place * 47 + 3), actor: line.0, action: line.1,
        subject: line.2, detail: line.3)
    }
  }

  static var attempts: [AttemptView] {
    [
      attempt(1, lease: 1, began: now - .minutes(290), ended: now - .hours(3), outcome: .leaseEnded, resumed: nil),
      attempt(2, lease: 2, began: now - .minutes(118), ended: now - .minutes(50), outcome: .leaseEnded, resumed: 400),
      attempt(3, lease: 3, began: now - .minutes(37), ended: nil, outcome: nil, resumed: 800),
    ]
  }

  static func checkpoint(_ step: Int, _ state: CheckpointState, attempt: Int, latest: Bool = false) -> CheckpointView {
    CheckpointView(
      id: CheckpointID(Int64(step)), job: JobID(17), attemptNumber: attempt, step: step, state: state,
      bytes: .mebibytes(48), prefix: "checkpoints/job-17/step-\(step)", createdAt: now - .minutes(60),
      durableAt: state == .durable ? now - .minutes(59) : nil, isFinal: step % 400 == 0, isLatest: latest)
  }

  static var checkpoints: [CheckpointView] {
    [
      checkpoint(100, .pruned, attempt: 1), checkpoint(200, .pruned, attempt: 1), checkpoint(300, .pruned, attempt: 1),
      checkpoint(400, .durable, attempt: 1), checkpoint(600, .pruned, attempt: 2),
      checkpoint(800, .durable, attempt: 2),
      checkpoint(1000, .corrupt, attempt: 3), checkpoint(1100, .durable, attempt: 3, latest: true),
      checkpoint(1180, .uploading, attempt: 3),
    ]
  }

  /// A falling curve with ripples that no chance is in.
  static func series(_ metric: String, every: Int = 1) -> MetricSeries {
    let steps = Array(stride(from: 1, through: 1187, by: every))
    let ripples = steps.map { Double(($0 * 7919) % 101) / 101 - 0.5 }
    let values = zip(steps, ripples).map { step, ripple in
      metric == "loss"
        ? 2.3 / (1 + Double(step) / 90) + ripple * 0.12 : 0.985 - 0.6 / (1 + Double(step) / 60) + ripple * 0.01
    }
    return MetricSeries(
      metric: metric, steps: steps, values: values, attempts: steps.map { $0 <= 400 ? 1 : $0 <= 800 ? 2 : 3 })
  }

  static var run: RunView {
    RunView(
      id: RunID(17), job: running, attempts: attempts, checkpoints: checkpoints,
      metrics: [
        MetricSummary(metric: "learning_rate", count: 1187, firstStep: 1, lastStep: 1187, lastValue: 0.0003),
        MetricSummary(metric: "loss", count: 1187, firstStep: 1, lastStep: 1187, lastValue: 0.162_731_8),
        MetricSummary(metric: "test_accuracy", count: 12, firstStep: 100, lastStep: 1100, lastValue: 0.9534),
      ],
      provenance: RunProvenance(
        jobFile: """
          name: mnist-cnn
          resources: { nodes: 2, gpus: 4 }
          run: baton-train --batch 64
          data: [mnist@2]
          checkpoint: { every: 5m }
          """,
        source: SourceProvenance(
          directory: "/home/mira/mnist", host: "laptop", gitCommit: "8d6e430f2b7c4d1e9a0b5c6d7e8f90112233abcd",
          gitBranch: "main",
          gitDiff: "diff --git a/train.yaml b/train.yaml\n-  every: 10m\n+  every: 5m\n", gitDirty: true),
        datasets: [
          DatasetRef(
            name: "mnist", version: 2, contentID: "4f8b1c6e0f8b1c6e4f8b1c6e0f8b1c6e4f8b1c6e0f8b1c6e4f8b1c6e0f8b1c6e")
        ], seed: 42,
        nodes: (1...3).flatMap { attempt in
          (1...2).map {
            RunProvenance.NodeFacts(
              attemptNumber: attempt, node: node($0), nodeType: "gpu_a100",
              gpus: ["NVIDIA A100-SXM4-80GB", "NVIDIA A100-SXM4-80GB"], cores: 64, memory: .gibibytes(256),
              software: ["driver": "535.129", "cuda": "12.2"])
          }
        }), stepsRedone: 12, handoffs: [handoff])
  }

  static var handoff: Handoff {
    var first = AttemptMoments(number: 1, lease: period(now - .hours(3), now - .hours(2)), createdAt: now - .hours(3))
    first.firstStepAt = now - .minutes(170)
    first.lastStepAt = now - .minutes(121)
    var second = AttemptMoments(
      number: 2, lease: period(now - .hours(1), now + .hours(1)), createdAt: now - .minutes(59))
    second.resumed = .init(localAt: now - .seconds(121 * 60 - 2), durableAt: now - .seconds(121 * 60 - 10))
    second.launchedAt = now - .seconds(58 * 60 + 40)
    second.restore = .seconds(6)
    second.runningAt = now - .seconds(58 * 60 + 39)
    second.firstStepAt = now - .minutes(58)
    return Handoff.all(of: [first, second])[0]
  }

  private static func period(_ start: Timestamp, _ end: Timestamp) -> Period { LeaseChart.window(from: start, to: end) }

  static var overview: OverviewContent {
    OverviewContent(jobs: jobs, nodes: nodes, leases: leases.filter { !$0.state.isFinal }, events: events)
  }

  static var runContent: RunContent {
    RunContent(
      run: run, series: series("loss"), accuracy: series("test_accuracy", every: 100), redone: [2: 12],
      artifacts: artifacts)
  }

  static var emptyRunContent: RunContent {
    RunContent(
      run: RunView(
        id: RunID(19), job: jobs[2], attempts: [], checkpoints: [], metrics: [],
        provenance: RunProvenance(
          jobFile: "name: bert-base\n", source: SourceProvenance(), datasets: [], seed: 1, nodes: []), stepsRedone: 0),
      series: nil)
  }

  static var compareContent: CompareContent {
    func run(_ id: Int64) -> RunSetComparison.Run {
      .init(
        id: RunID(id), name: "mnist-cnn", state: .completed, submittedAt: now, ranSeconds: 700, attempts: 2,
        cost: AttemptCost(nodeSeconds: 1400, gpuSeconds: 5600), tags: ["paper"])
    }
    let comparison = RunSetComparison(
      runs: [run(17), run(18)],
      differences: [.init(section: "job", key: "checkpoint.every", values: ["300", nil])],
      files: [.init(run: RunID(18), path: "train.py", change: "changed", diff: "@@ -1,1 +1,1 @@\n-<a>\n+<b>")],
      results: [.init(metric: "loss", lastStep: [9, 9], last: [1, 2], lowest: [1, nil], highest: [3, 4])],
      metric: "loss",
      curves: [
        RunComparison(
          run: RunID(17), other: RunID(18), metric: "loss", stepsCompared: 9, stepsEqual: 8, onlyInRun: 0,
          onlyInOther: 0, firstDifference: .init(step: 9, value: 1, otherValue: 2), largestDifference: 1)
      ])
    return CompareContent(comparison: comparison, curves: [series("loss"), series("loss", every: 3)])
  }

  /// A matrix of six, in all kinds of states.
  static var groupContent: GroupContent {
    let states: [JobState] = [.completed, .completed, .failed, .running, .pending, .pending]
    let jobs = states.enumerated().map { index, state in
      let (rate, batch) = (["0.1", "0.01"][index / 3], ["32", "64", "128"][index % 3])
      var job = job(
        40 + index, "sweep[lr=\(rate),batch=\(batch)]", state, reason: state == .pending ? "GroupLimit" : "",
        detail: state == .pending ? "group-3 runs at most 1 at once" : nil,
        lastStep: state == .pending ? nil : 900 + index, checkpoint: state == .completed ? 900 : nil)
      job.member = GroupMemberView(group: JobGroupID(3), index: index, values: ["lr": rate, "batch": batch])
      return job
    }
    return GroupContent(
      group: GroupView(
        id: JobGroupID(3), name: "sweep", size: 6, atMost: 1, submittedAt: now - .hours(5),
        states: ["COMPLETED": 2, "FAILED": 1, "RUNNING": 1, "PENDING": 2], jobs: jobs.map(\.id)),
      jobs: jobs, mayCancel: true)
  }

  /// An array of which all is over.
  static var overGroupContent: GroupContent {
    let jobs = (0..<20).map { index in
      var job = job(60 + index, "fold[\(index)]", .completed, lastStep: 100)
      job.member = GroupMemberView(group: JobGroupID(4), index: index, values: [:])
      return job
    }
    return GroupContent(
      group: GroupView(
        id: JobGroupID(4), name: "fold", size: 20, atMost: nil, submittedAt: now - .hours(5),
        states: ["COMPLETED": 20], jobs: jobs.map(\.id)),
      jobs: jobs, mayCancel: true)
  }

  static var bars: [AttemptBar] {
    attempts.map { AttemptBar(job: JobID(17), jobName: "mnist-cnn", attempt: $0) }
  }

  /// Every page, by name: full, empty, and failed.
  static func pages(_ renderer: PageRenderer) -> [(name: String, html: String)] {
    let none = OverviewContent(jobs: [], nodes: [], leases: [], events: [])
    return [
      ("overview", renderer.overview(overview, at: now, in: frame)),
      ("overview-empty", renderer.overview(none, at: now, in: frame)),
      ("queue", renderer.queue(jobs + groupContent.jobs.filter { !$0.state.isFinal }, at: now, in: frame)),
      ("queue-empty", renderer.queue([], at: now, in: frame)),
      (
        "leases",
        renderer.leases(
          leases, nodes: nodes, attempts: bars, window: PageRenderer.leaseWindow(leases, at: now), isWhole: false,
          at: now, in: frame)
      ),
      (
        "leases-empty",
        renderer.leases(
          [], nodes: nodes, attempts: [], window: PageRenderer.leaseWindow(leases, at: now), at: now, in: frame)
      ),
      (
        "leases-bare",
        renderer.leases(
          [], nodes: [], attempts: [], window: PageRenderer.leaseWindow(leases, at: now), at: now, in: frame)
      ),
      ("nodes", renderer.nodes(nodes, at: now, in: frame)), ("nodes-empty", renderer.nodes([], at: now, in: frame)),
      ("runs", renderer.runs(RunsContent(jobs: jobs + over), at: now, in: frame)),
      ("runs-older", renderer.runs(RunsContent(jobs: over, isFirst: false, older: 3), at: now, in: frame)),
      ("runs-empty", renderer.runs(RunsContent(jobs: []), at: now, in: frame)),
      ("run", renderer.run(runContent, at: now, in: frame)),
      ("run-artifacts", renderer.run(RunContent(run: run, series: nil, artifacts: manyArtifacts), at: now, in: frame)),
      (
        "run-no-artifacts",
        renderer.run(RunContent(run: run, series: nil, artifacts: ArtifactContent(items: [])), at: now, in: frame)
      ),
      (
        "run-store-away",
        renderer.run(
          RunContent(
            run: run, series: nil, artifacts: ArtifactContent(items: [], isWhole: false, problem: "it has not answered")
          ),
          at: now, in: frame)
      ),
      ("run-empty", renderer.run(emptyRunContent, at: now, in: frame)),
      ("compare", renderer.compare(compareContent, at: now, in: frame)),
      ("group", renderer.group(groupContent, at: now, in: frame)),
      ("groups", renderer.groups(groupsContent, at: now, in: frame)),
      ("groups-empty", renderer.groups(GroupsContent(groups: [], show: .all), at: now, in: frame)),
      ("groups-live-empty", renderer.groups(GroupsContent(groups: [], show: .live), at: now, in: frame)),
      ("group-over", renderer.group(overGroupContent, at: now, in: frame)),
      ("events", renderer.events(events, subject: "job-17", older: "/events?before=895", in: frame)),
      ("events-empty", renderer.events([], subject: nil, older: nil, in: frame)),
      ("login", renderer.login(problem: nil, next: "/runs/17")),
      ("login-wrong", renderer.login(problem: "This token is not known here.", next: "/")),
      (
        "problem",
        renderer.problem(
          APIFailure(.notFound, "there is no run 99", details: ["`baton run list` shows them"]), in: frame)
      ),
    ]
  }
}

extension Fixture {
  /// Groups as a page lists them, with older ones behind it.
  static var groupsContent: GroupsContent {
    var groups = [overGroupContent.group, groupContent.group]
    groups.append(
      GroupView(
        id: JobGroupID(2), name: "hyperparameters-of-the-large-model", size: 1000, atMost: 16,
        submittedAt: now - .hours(30),
        states: ["COMPLETED": 700, "FAILED": 1, "RUNNING": 16, "PENDING": 270, "CANCELLED": 13], jobs: []))
    for place in groups.indices { (groups[place].project, groups[place].user) = ("vision", "mira") }
    return GroupsContent(groups: groups, show: .all, older: JobGroupID(2))
  }

  /// A file of each kind: of a later attempt, of another node, of a node that nobody knows any more.
  static var artifacts: ArtifactContent {
    func file(_ path: String, _ bytes: ByteCount, _ attempt: Int, _ node: Int) -> ArtifactView {
      ArtifactView(path: path, bytes: bytes, attempt: attempt, nodeRank: node)
    }
    return ArtifactContent(
      items: [
        file("figures/a & b.svg", ByteCount(48 << 10), 2, 0), file("figures/a & b.svg", ByteCount(48 << 10), 1, 1),
        file("model.safetensors", .gibibytes(3), 2, 0), file("predictions.csv", .mebibytes(7), 1, 5),
      ],
      missing: [
        MissingArtifacts(
          attempt: 1, node: "n2", reason: "the lease ended before all artifacts were in the store")
      ])
  }

  /// More than a page lists.
  static var manyArtifacts: ArtifactContent {
    ArtifactContent(
      items: (1...2400).map {
        ArtifactView(path: "samples/\(10_000 + $0).png", bytes: ByteCount(120 << 10), attempt: 1, nodeRank: 0)
      }, isWhole: false)
  }

  /// A packed version that is read in place, with a copy on a node; all of it called `name`.
  static func dataset(calling name: String) -> DatasetView {
    DatasetView(
      id: DatasetVersionID(3), name: name, version: 2, contentID: String(repeating: "a", count: 64),
      total: .gibibytes(3), objects: 12, source: name, createdAt: now - .hours(2), replicas: [], origin: name,
      copies: [DatasetCopy(node: NodeRef(id: NodeID(1), name: name), state: "CORRUPT", verifiedAt: nil)],
      pack: PackView(shards: 12, bytes: .gibibytes(3), by: name, at: now),
      changes: ManifestChanges(new: 1, changed: 2, gone: 3))
  }
}
