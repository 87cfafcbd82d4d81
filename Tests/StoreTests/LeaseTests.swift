import Domain
import Postgres
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct LeaseTests {
  @Test func isActiveWhenItBeginsAtOnceAndPendingOtherwise() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let now = try await f.lease("now", [node])
      #expect(now.state == .active)
      #expect(now.nodes == [node])
      #expect(now.period.length == .hours(2))
      let later = try await f.store.createLease(
        NewLease(
          name: "later", project: f.project, start: now.period.end, end: .after(.hours(1)), nodes: .these([node])),
        by: f.actor)
      #expect(later.state == .pending)
      #expect(try await f.store.leases(project: f.project).map(\.id) == [now.id, later.id])
      #expect(try await f.store.lease(named: "later", project: f.project) == later)
    }
  }

  @Test func listsWhatIsOverAsFarAsItIsAskedFor() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      var past: [LeaseRecord] = []
      for name in ["a", "b", "c"] {
        let lease = try await f.lease(name, [node])
        _ = try await f.store.deleteLease(lease.id, by: f.actor)
        past.append(try await f.store.lease(lease.id))
      }
      let open = try await f.lease("open", [node])
      func listed(_ newest: Int, from: TimeSpan, to: TimeSpan) async throws -> [LeaseID] {
        let first = past[0].period.start
        guard let period = Period(start: first + from, end: first + to) else { return [] }
        return try await f.store.leases(project: f.project, newest: newest, in: period).map(\.id)
      }
      let far = (from: TimeSpan.hours(50), to: TimeSpan.hours(51))
      #expect(try await listed(0, from: far.from, to: far.to) == [open.id])
      #expect(try await listed(2, from: far.from, to: far.to) == [past[1].id, past[2].id, open.id])
      #expect(try await listed(0, from: .zero, to: .hours(1)) == past.map(\.id) + [open.id])
      #expect(try await listed(9, from: far.from, to: far.to) == past.map(\.id) + [open.id])
    }
  }

  @Test func namesWhoIsInTheWay() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let held = try await f.lease("held", [node])
      await #expect(
        throws: StoreError.leaseOverlap(
          node: node, nodeName: "n1", lease: held.id, leaseName: "held", period: held.period)
      ) { try await f.lease("other", [node]) }
      #expect(try await f.store.leases().count == 1)
    }
  }

  @Test func theDatabaseItselfRefusesAnOverlap() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      _ = try await f.lease("held", [node])
      let code = try await postgresCode {
        try await f.pool.execute(
          """
          WITH l AS (
            INSERT INTO lease (name, project_id, period)
            VALUES ('past-us', \(f.project), tstzrange(now(), now() + interval '1 minute')) RETURNING id)
          SELECT 1 FROM l
          """)
        try await f.pool.execute(
          "INSERT INTO lease_node (lease_id, node_id) SELECT id, \(node) FROM lease WHERE name = 'past-us'")
      }
      #expect(code == .exclusionViolation)
    }
  }

  @Test(arguments: [
    "empty", "(now(), now() + interval '1 hour')", "[now(), now() + interval '1 hour']", "upper", "infinite",
  ])
  func theDatabaseItselfRefusesAPeriodThatIsNone(kind: String) async throws {
    try await StoreFixture.with { f in
      let period: SQL =
        switch kind {
        case "empty": "tstzrange(now(), now())"
        case "upper": "tstzrange(now(), NULL)"
        case "infinite": "tstzrange(now(), 'infinity')"
        case let text where text.hasPrefix("("): "tstzrange(now(), now() + interval '1 hour', '()')"
        default: "tstzrange(now(), now() + interval '1 hour', '[]')"
        }
      let code = try await postgresCode {
        try await f.pool.execute("INSERT INTO lease (name, project_id, period) VALUES ('x', \(f.project), \(period))")
      }
      #expect(code == .checkViolation)
    }
  }

  @Test func refusesThePastAndTheEmpty() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let now = try await f.store.now()
      func create(_ start: Timestamp?, _ end: NewLease.End, _ nodes: NewLease.Nodes) async throws {
        let request = NewLease(name: "x", project: f.project, start: start, end: end, nodes: nodes)
        _ = try await f.store.createLease(request, by: f.actor)
      }
      let past = await #expect(throws: StoreError.self) {
        try await create(now - .seconds(1), .after(.hours(1)), .these([node]))
      }
      #expect(past?.code == "lease_in_past")
      let start = now + .hours(1)
      await #expect(throws: StoreError.leaseEmpty(start: start, end: start)) {
        try await create(start, .at(start), .these([node]))
      }
      await #expect(throws: StoreError.noNodes) { try await create(nil, .after(.hours(1)), .these([])) }
      await #expect(throws: StoreError.notFound(kind: "node", name: "node-99")) {
        try await create(nil, .after(.hours(1)), .these([NodeID(99)]))
      }
      #expect(try await f.store.leases(includingOver: true).isEmpty)
    }
  }

  @Test func picksFreeNodesOfTheTypeAndSparesThoseToAvoid() async throws {
    try await StoreFixture.with { f in
      let nodes = try await [f.node("n1"), f.node("n2"), f.node("n3")]
      _ = try await f.node("cpu1", gpus: 0, type: "cpu")
      func any(_ name: String, _ count: Int, avoiding: Set<NodeID> = []) async throws -> LeaseRecord {
        try await f.store.createLease(
          NewLease(
            name: name, project: f.project, end: .after(.hours(1)),
            nodes: .any(count: count, type: "gpu_a100", avoiding: avoiding)), by: f.actor)
      }
      #expect(try await any("one", 1, avoiding: [nodes[0]]).nodes == [nodes[1]])
      await #expect(throws: StoreError.notEnoughNodes(wanted: 3, free: 2)) { try await any("three", 3) }
      #expect(try await any("two", 2, avoiding: [nodes[0]]).nodes == [nodes[0], nodes[2]])
    }
  }

  @Test func manyThatPickAtOnceGetNodesOfTheirOwn() async throws {
    try await StoreFixture.with { f in
      for number in 0..<4 { _ = try await f.node("n\(number)") }
      let leases = try await withThrowingTaskGroup(of: LeaseRecord.self) { group in
        for number in 0..<4 {
          group.addTask {
            try await f.store.createLease(
              NewLease(name: "l\(number)", project: f.project, end: .after(.hours(1)), nodes: .any(count: 1)),
              by: f.actor)
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(Set(leases.flatMap(\.nodes)).count == 4)
    }
  }

  @Test func aNameIsFreeAgainWhenItsLeaseIsOver() async throws {
    try await StoreFixture.with { f in
      let nodes = try await [f.node("n1"), f.node("n2")]
      let first = try await f.lease("exp", [nodes[0]])
      await #expect(throws: StoreError.nameTaken(kind: "lease", name: "exp")) { try await f.lease("exp", [nodes[1]]) }
      _ = try await f.store.deleteLease(first.id, by: f.actor)
      let again = try await f.lease("exp", nodes)
      #expect(again.state == .active)
      _ = try await f.store.deleteLease(again.id, by: f.actor)
      await #expect(throws: StoreError.badName(kind: "lease", name: "-")) { try await f.lease("-", nodes) }
    }
  }

  @Test func extendsUntilTheNextLeaseAndNoFurther() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let lease = try await f.lease("exp", [node])
      let next = try await f.store.createLease(
        NewLease(
          name: "next", project: f.project, start: lease.period.end + .hours(1), end: .after(.hours(1)),
          nodes: .these([node])), by: f.actor)
      _ = try await f.store.markEndingLeases(lead: .hours(3), by: f.epoch)
      let extended = try await f.store.extendLease(lease.id, to: next.period.start, by: f.actor)
      #expect(extended.state == .active)
      #expect(extended.period.end == next.period.start)
      await #expect(
        throws: StoreError.leaseOverlap(
          node: node, nodeName: "n1", lease: next.id, leaseName: "next", period: next.period)
      ) { try await f.store.extendLease(lease.id, to: next.period.start + .seconds(1), by: f.actor) }
      await #expect(
        throws: StoreError.leaseNotExtended(end: extended.period.end, wanted: extended.period.end)
      ) { try await f.store.extendLease(lease.id, to: extended.period.end, by: f.actor) }
      try await f.expire(lease.id)
      await #expect(throws: StoreError.leaseOver(lease: lease.id, state: .active)) {
        try await f.store.extendLease(lease.id, to: next.period.start, by: f.actor)
      }
    }
  }

  @Test func isDegradedWhileANodeOfItDoesNotAnswer() async throws {
    try await StoreFixture.with { f in
      let nodes = try await [f.node("n1"), f.node("n2")]
      let new = try await f.store.addNode(.test("n3"), by: f.actor).id
      let lease = try await f.lease("exp", nodes)
      _ = try await f.lease("new", [new])
      #expect(try await f.store.judgeLeases(by: f.epoch) == .done([]))
      _ = try await f.store.setNodeState(nodes[1], to: .suspect, by: f.epoch)
      #expect(
        try await f.store.judgeLeases(by: f.epoch).value?.map { [$0.lease: $0.isDegraded] } == [[lease.id: true]])
      #expect(try await f.store.lease(lease.id).isDegraded)
      #expect(try await f.store.judgeLeases(by: f.epoch) == .done([]))
      _ = try await f.store.setNodeState(nodes[1], to: .dead, by: f.epoch)
      #expect(try await f.store.judgeLeases(by: f.epoch) == .done([]))
      _ = try await f.store.updateNode(nodes[1], facts: .test(gpus: 2), by: f.epoch)
      #expect(
        try await f.store.judgeLeases(by: f.epoch).value?.map { [$0.lease: $0.isDegraded] } == [[lease.id: false]])
      #expect(try await f.store.lease(lease.id).isDegraded == false)
      var filter = EventFilter()
      filter.subject = Subject(lease.id)
      #expect(
        try await f.store.events(filter).map(\.action) == ["lease.whole", "lease.degraded", "lease.create"])
      // What is over is judged no more.
      _ = try await f.store.setNodeState(nodes[0], to: .suspect, by: f.epoch)
      _ = try await f.store.deleteLease(lease.id, by: f.actor)
      #expect(try await f.store.judgeLeases(by: f.epoch) == .done([]))
      let stale = f.epoch
      _ = try await f.store.takeControl(holder: "test", patience: .zero)
      #expect(try await f.store.judgeLeases(by: stale) == .stale)
    }
  }

  @Test func givingUpAPendingLeaseFreesItsNodes() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let start = try await f.store.now() + .hours(1)
      let request = NewLease(
        name: "later", project: f.project, start: start, end: .after(.hours(1)), nodes: .these([node]))
      let lease = try await f.store.createLease(request, by: f.actor)
      #expect(try await f.store.deleteLease(lease.id, by: f.actor).value?.attempts == [])
      #expect(try await f.store.lease(lease.id).state == .terminated)
      #expect(try await f.store.lease(lease.id).period == lease.period)
      #expect(try await f.store.deleteLease(lease.id, by: f.actor) == .stale)
      #expect(try await f.store.createLease(request, by: f.actor).state == .pending)
    }
  }

  @Test func movesWithTheDatabasesClock() async throws {
    try await StoreFixture.with { f in
      let node = try await f.node("n1")
      let start = try await f.store.now() + .hours(1)
      let lease = try await f.store.createLease(
        NewLease(name: "x", project: f.project, start: start, end: .after(.hours(1)), nodes: .these([node])),
        by: f.actor)
      #expect(try await f.store.nextLeaseBoundary(lead: .minutes(5)) == start)
      #expect(try await f.store.activateDueLeases(by: f.epoch).value?.moved == [])
      try await f.pool.execute(
        """
        UPDATE lease
        SET period = tstzrange(lower(period) - interval '61 minutes', upper(period) - interval '61 minutes')
        """)
      #expect(try await f.store.activateDueLeases(by: f.epoch).value?.moved == [lease.id])
      #expect(try await f.store.activateDueLeases(by: f.epoch).value?.moved == [])
      let end = try await f.store.lease(lease.id).period.end
      #expect(try await f.store.nextLeaseBoundary(lead: .minutes(5)) == end - .minutes(5))
      #expect(try await f.store.markEndingLeases(lead: .minutes(5), by: f.epoch).value?.moved == [])
      #expect(try await f.store.markEndingLeases(lead: .hours(1), by: f.epoch).value?.moved == [lease.id])
      #expect(try await f.store.nextLeaseBoundary(lead: .minutes(5)) == end)
      #expect(try await f.store.terminateDueLeases(by: f.epoch).value?.moved == [])
      try await f.expire(lease.id)
      #expect(try await f.store.terminateDueLeases(by: f.epoch).value?.moved.map(\.lease) == [lease.id])
      #expect(try await f.store.nextLeaseBoundary(lead: .minutes(5)) == nil)
    }
  }

  @Test func oneLeaseThatCannotMoveStopsNoOther() async throws {
    try await StoreFixture.with { f in
      let stuck = try await f.lease("stuck", [f.node("n1")])
      let fine = try await f.lease("fine", [f.node("n2")])
      let third = try await f.node("n3")
      let start = try await f.store.now() + .hours(1)
      let next = try await f.store.createLease(
        NewLease(name: "next", project: f.project, start: start, end: .after(.hours(1)), nodes: .these([third])),
        by: f.actor
      ).period.start
      try await f.pool.execute(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'the disk is full'; END $$
        """)
      try await f.pool.execute(
        """
        CREATE TRIGGER refuse BEFORE UPDATE ON lease FOR EACH ROW
        WHEN (NEW.name = 'stuck' AND NEW.state <> 'ACTIVE') EXECUTE FUNCTION refuse()
        """)
      let ending = try #require(try await f.store.markEndingLeases(lead: .hours(3), by: f.epoch).value)
      #expect(ending.moved == [fine.id])
      #expect(ending.failures.map(\.lease) == [stuck.id])
      try await f.expire(stuck.id)
      try await f.expire(fine.id)
      for moved in [[fine.id], []] {
        let ended = try #require(try await f.store.terminateDueLeases(by: f.epoch).value)
        #expect(ended.moved.map(\.lease) == moved)
        #expect(ended.failures.map(\.lease) == [stuck.id])
        #expect(ended.failures.first?.reason.contains("the disk is full") == true)
      }
      // Nobody waits for the boundary of one that is tried again anyway.
      #expect(try await f.store.nextLeaseBoundary(lead: .minutes(5), but: [stuck.id]) == next)
      #expect(try await f.store.recordTrouble(with: stuck.id, "the disk is full", by: f.epoch) == .done(stuck.id))
      let event = try #require(try await f.store.events(limit: 1).first)
      #expect(event.action == "lease.trouble" && event.subject == Subject(stuck.id) && event.project == f.project)
      #expect(event.detail == ["reason": "the disk is full"])
      try await f.pool.execute("DROP TRIGGER refuse ON lease")
      #expect(try await f.store.terminateDueLeases(by: f.epoch).value?.moved.map(\.lease) == [stuck.id])
    }
  }
}
