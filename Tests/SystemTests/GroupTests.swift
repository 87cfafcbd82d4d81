import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// Many jobs from one file, and studies made of them, as a person asks for them.
@Suite struct GroupTests {
  @Test func oneFileMakesAGroupThatIsListedAndCancelledAsOne() async throws {
    try await SystemFixture.with { s in
      let file = """
        name: sweep
        matrix: {lr: [0.1, 0.01], size: [1, 2, 3]}
        at_most: 2
        run: [/bin/echo, "${{ matrix.lr }}", "${{ matrix.size }}"]

        """
      let result = try await s.batonSubmit(file)
      #expect(result.status == 0, "\(result.output)")
      #expect(result.output.contains("6 jobs (lr 2 x size 3), at most 2 at once"), "\(result.output)")
      let jobs = try await s.client.jobs(group: "group-1").items
      #expect(jobs.map { $0.member?.index } == Array(0..<6))
      #expect(jobs.last?.name == "sweep[lr=0.01,size=3]" && jobs.last?.member?.values == ["lr": "0.01", "size": "3"])
      let queue = try await s.baton("queue")
      #expect(queue.output.contains("and 5 more"), "\(queue.output)")
      let groups = try await s.baton("job", "groups", "--live")
      #expect(groups.output.contains("0/6") && groups.output.contains("6 PENDING"), "\(groups.output)")
      #expect(try await s.baton("cancel", "group-1").output.contains("6 CANCELLED"))
      #expect(try await s.baton("job", "groups", "--live").output.contains("all groups are over"))
      #expect(try await s.baton("job", "groups").output.contains("6/6"))
      // Page by page, from the newest on.
      let newest = try await s.baton("run", "list", "--limit", "4")
      #expect(newest.output.contains("(4 runs, and there are older ones: --before 3,"), "\(newest.output)")
      let rest = try await s.baton("run", "list", "--before", "3").output
      #expect(rest.contains("job-1 ") && rest.contains("job-2 ") && !rest.contains("job-3 "), "\(rest)")
      #expect(!rest.contains("older ones"), "\(rest)")
      #expect(try await s.client.runs(before: 3).items.map(\.id.rawValue) == [2, 1])
      #expect(try await s.client.runs(limit: 2).next == 5)
      #expect(try await s.client.runs(over: false).items.isEmpty)
      #expect(try await s.client.jobs(state: "CANCELLED", before: 5, limit: 3).items.map(\.id.rawValue) == [4, 3, 2])
      // What is kept with a member makes that member alone.
      let run = try await s.client.run("\(jobs[4].id.rawValue)")
      let again = try await s.batonSubmit(run.provenance.jobFile)
      #expect(again.status == 0, "\(again.output)")
      #expect(try await s.client.jobs(group: "group-2").items.map(\.name) == ["sweep[lr=0.01,size=2]"])
      let refused = try await s.batonSubmit("name: a\nrun: b\narray: 5-1\n")
      #expect(refused.status == 65 && refused.output.contains("job.yaml:3:"), "\(refused.output)")
    }
  }

  @Test func aScriptWithAnArrayOfSlurmRunsOnceForEachOfItsIndices() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let path = "\(s.folder)/fold.sh"
      let script = """
        #!/bin/bash
        #SBATCH -J fold -o fold_%A_%a.out
        #SBATCH --array=3-7:2%1
        echo "part $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT to $SLURM_ARRAY_TASK_MAX"

        """
      try Data(script.utf8).write(to: URL(fileURLWithPath: path))
      let result = try await s.baton("submit", path, "--wait")
      #expect(result.status == 0, "\(result.output)")
      #expect(result.output.contains("fold.sh:2: -o fold_%A_%a.out: `baton logs JOB`"), "\(result.output)")
      let jobs = try await s.client.jobs(group: "group-1").items
      #expect(jobs.map(\.name) == ["fold[3]", "fold[5]", "fold[7]"])
      #expect(jobs.map(\.state) == [.completed, .completed, .completed])
      for (job, index) in zip(jobs, [3, 5, 7]) {
        let said = try await s.baton("logs", "\(job.id)").output
        #expect(said.contains("part \(index) of 3 to 7"), "\(said)")
      }
    }
  }

  @Test func aStudyMeasuresItsRunsAndGoesOnWhereItWas() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let path = "\(s.folder)/pace.yaml"
      let file = s.countingJob("--steps 30 --pace 0.0${{ matrix.batch }}")
      try Data(file.utf8).write(to: URL(fileURLWithPath: path))
      let words = ["study", "batch", path, "--batch", "1,2", "--repeats", "1", "--metric", "sum", "--warm-up", "5"]
      let first = try await s.baton(words + ["--html", "\(s.folder)/pace.html"])
      #expect(first.status == 0, "\(first.output)")
      #expect(first.output.contains("IMAGES/S"), "\(first.output)")
      let jobs = try await s.client.jobs(group: "group-1").items
      #expect(jobs.map(\.state) == [.completed, .completed])
      #expect(try String(contentsOfFile: "\(s.folder)/pace.html", encoding: .utf8).contains("<svg"))
      // Nothing is submitted again.
      let second = try await s.baton(words)
      #expect(second.status == 0 && second.output.contains("goes on with"), "\(second.output)")
      #expect(try await s.client.jobs(all: true).items.count == 2)
      let other = try await s.baton(words + ["--at-once", "2"])
      #expect(other.status == 73, "\(other.output)")
    }
  }
}
