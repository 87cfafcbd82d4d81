import APIClient
import Domain
import Lab
import Postgres
import Testing
import Wire

/// What is wrong is refused at the door, in words that help.
@Suite struct BadInputTests {
  @Test func namesTheLineAndTheKeyThatWasMeant() async throws {
    try await SystemFixture.with { s in
      let result = try await s.batonSubmit("name: a\nrun: /bin/true\nresources:\n  node: 2\n")
      #expect(result.status == 65)
      #expect(result.output.contains("job.yaml:4:3"))
      #expect(result.output.contains("did you mean 'nodes'"))
      #expect(try await s.client.jobs(all: true).items.isEmpty)
    }
  }

  @Test func refusesADurationWithoutAUnit() async throws {
    try await SystemFixture.with { s in
      let result = try await s.batonSubmit("name: a\nrun: /bin/true\ntime:\n  limit: 90\n")
      #expect(result.status == 65)
      #expect(result.output.contains("job.yaml:4:"))
      #expect(result.output.contains("90s"), "\(result.output)")
      let refusal = try await s.refusal {
        _ = try await s.client.createLease(LeaseRequest(nodeNames: ["n1"], duration: "90"))
      }
      #expect(refusal.code == .badRequest)
      #expect(refusal.message.contains("90s"), "\(refusal)")
    }
  }

  @Test func refusesATimeWithoutAnOffset() async throws {
    try await SystemFixture.with { s in
      let refusal = try await s.refusal {
        _ = try await s.client.createLease(
          LeaseRequest(nodeNames: ["n1"], start: "2099-01-01T10:00:00", duration: "1h"))
      }
      #expect(refusal.code == .badRequest)
      #expect(refusal.message.contains("has no offset"), "\(refusal)")
      #expect(try await s.client.leases(all: true).items.isEmpty)
    }
  }

  @Test func saysHowManyNodesTheLargestLeaseHas() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      try await s.lease("pair")
      let job = try await s.count(nodes: 3).id
      let answer = try await s.client.explain("\(job)")
      #expect(answer.explanation?.refusal == .tooManyNodes(wanted: 3, most: 2))
      #expect(answer.text.first?.contains("the job wants 3 nodes, and the largest lease has 2") == true)
      try await s.wait(job, until: "told why it waits") { $0.state == .pending && $0.reason == "TooManyNodes" }
    }
  }

  @Test func refusesADataSetThatDoesNotExist() async throws {
    try await SystemFixture.with { s in
      let result = try await s.batonSubmit("name: a\nrun: /bin/true\ndata: [nowhere]\n")
      #expect(result.status == 65)
      #expect(result.output.contains("'nowhere'"))
      #expect(try await s.client.jobs(all: true).items.isEmpty)
    }
  }

  @Test func doesNotStartAJobWhoseDataDoesNotFitTheDisk() async throws {
    try await SystemFixture.with(diskSize: .mebibytes(64)) { s in
      try await s.lease()
      let large = try await s.dataset("large", .mebibytes(65))
      let job = try await s.count("", "data: [large]").id
      let view = try await s.wait(job, until: "refused") { $0.reason == "DiskTooSmall" }
      #expect(view.attempt == nil)
      guard case .diskTooSmall(_, let needed, let room)? = try await s.client.explain("\(job)").explanation?.refusal
      else {
        Issue.record("it is not refused for the disk")
        return
      }
      // Beside the data there is what Baton itself writes.
      #expect(needed > large.total)
      #expect(room < .mebibytes(64))
      let written = try s.filesOfBaton(on: "n1").filter { $0.contains(large.contentID) || $0.hasPrefix("attempts/") }
      #expect(written.isEmpty)
    }
  }

  @Test func startsAJobWhoseDataFitsOnceTheNodeHasEvictedWhatNobodyUses() async throws {
    try await SystemFixture.with(diskSize: .mebibytes(128)) { s in
      try await s.lease()
      let old = try await s.dataset("old", .mebibytes(45))
      try await s.wait(s.count("--steps 2", "data: [old]").id, .completed)
      let new = try await s.dataset("new", .mebibytes(60))
      let job = try await s.count("--steps 2", "data: [new]").id
      try await s.wait(job, .completed)
      #expect(try await s.client.run("\(job)").attempts.map(\.outcome) == [.completed])
      let written = try s.filesOfBaton(on: "n1")
      #expect(written.contains("datasets/\(new.contentID)"))
      #expect(!written.contains("datasets/\(old.contentID)"))
    }
  }

  @Test func refusesALeaseThatOverlapsAnother() async throws {
    try await SystemFixture.with { s in
      let first = try await s.lease("first", seconds: 600)
      let refusal = try await s.refusal { try await s.lease("second", seconds: 60, startIn: 300) }
      #expect(refusal.code == .conflict)
      #expect(refusal.message.contains("\(first.id) 'first'"), "\(refusal)")
      #expect(try await s.baton("lease", "create", "--nodes", "1", "--duration", "1m").status == 73)
      // Whoever goes past Baton is refused by the database.
      let pool = PostgresPool(try s.lab.postgres.conninfo)
      let error = await #expect(throws: PostgresError.self) {
        try await pool.withTransaction { transaction in
          try await transaction.execute(
            "INSERT INTO lease (name, project_id, period) SELECT 'direct', project_id, period FROM lease")
          try await transaction.execute(
            """
            INSERT INTO lease_node (lease_id, node_id, period)
            SELECT l.id, n.id, l.period FROM lease l, node n WHERE l.name = 'direct'
            """)
        }
      }
      #expect(error?.code == .exclusionViolation)
      await pool.close()
    }
  }

  @Test func refusesALeaseInThePastOrWithoutLength() async throws {
    try await SystemFixture.with { s in
      let past = try await s.refusal {
        _ = try await s.client.createLease(
          LeaseRequest(nodeNames: ["n1"], start: "2020-01-01T00:00:00Z", duration: "1h"))
      }
      #expect(past.code == .badRequest)
      #expect(past.message.contains("2020-01-01"), "\(past)")
      let empty = try await s.refusal {
        _ = try await s.client.createLease(LeaseRequest(nodeNames: ["n1"], duration: "0s"))
      }
      #expect(empty.code == .badRequest)
      let moment = "2099-01-01T00:00:00Z"
      let none = try await s.refusal {
        _ = try await s.client.createLease(LeaseRequest(nodeNames: ["n1"], start: moment, end: moment))
      }
      #expect(none.code == .badRequest)
      #expect(none.message.contains("the end has to come after the start"), "\(none)")
      #expect(try await s.client.leases(all: true).items.isEmpty)
    }
  }
}
