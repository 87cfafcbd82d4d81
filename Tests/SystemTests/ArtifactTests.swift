import APIClient
import Domain
import Foundation
import Testing
import Wire

/// What ranks leave to be kept.
@Suite struct ArtifactTests {
  private static let program = """
    mkdir -p "$BATON_ARTIFACTS_DIR/figures"
    echo "node $BATON_NODE_RANK" > "$BATON_ARTIFACTS_DIR/figures/loss.txt"
    echo half > "$BATON_ARTIFACTS_DIR/model.tmp"
    exit 3
    """

  @Test func areKeptOfEachNodeHoweverTheAttemptEnds() async throws {
    try await SystemFixture.with(nodes: 2) { s in
      try await s.lease()
      let script = s.folder + "/train.sh"
      try Data(Self.program.utf8).write(to: URL(fileURLWithPath: script))
      let submitted = try await s.batonSubmit("name: keeps\nresources: {nodes: 2}\nrun: bash \(script)\n")
      try #require(submitted.status == 0, "\(submitted.output)")
      let job = try #require(try await s.client.jobs(all: true).items.first)
      #expect(try await s.wait(job.id, .failed).state == .failed)

      let listed = try await s.baton("run", "artifacts", "\(job.id.run)")
      #expect(listed.status == 0, "\(listed.output)")
      #expect(listed.output.contains("figures/loss.txt"), "\(listed.output)")
      #expect(!listed.output.contains("model.tmp"))
      let into = s.folder + "/kept"
      let brought = try await s.baton("run", "artifacts", "\(job.id.run)", "--into", into)
      #expect(brought.status == 0, "\(brought.output)")
      #expect(try String(contentsOfFile: into + "/figures/loss.txt", encoding: .utf8) == "node 0\n")
      #expect(try String(contentsOfFile: into + "/node-1/figures/loss.txt", encoding: .utf8) == "node 1\n")
      let again = try await s.baton("run", "artifacts", "\(job.id.run)", "--into", into)
      #expect(again.status != 0 && again.output.contains("is there already"), "\(again.output)")

      let shown = try await s.baton("run", "show", "\(job.id.run)")
      #expect(shown.output.contains("2 files, 14 B"), "\(shown.output)")
      let page = s.folder + "/report.html"
      let report = try await s.baton("run", "report", "\(job.id.run)", "--output", page)
      #expect(report.status == 0, "\(report.output)")
      #expect(try String(contentsOfFile: page, encoding: .utf8).contains("<bdi>figures/loss.txt</bdi>"))

      let crate = s.folder + "/crate"
      let exported = try await s.baton("run", "export", "\(job.id.run)", "--format", "ro-crate", "--output", crate)
      #expect(exported.status == 0, "\(exported.output)")
      #expect(try String(contentsOfFile: crate + "/artifacts/node-1/figures/loss.txt", encoding: .utf8) == "node 1\n")
      let metadata = try String(contentsOfFile: crate + "/ro-crate-metadata.json", encoding: .utf8)
      #expect(metadata.contains("figures/loss.txt") || metadata.contains("figures\\/loss.txt"))

      let log = ArtifactView(path: "../rank-0.log", bytes: .zero, attempt: 1, nodeRank: 0)
      let refusal = try await s.refusal {
        for try await _ in try await s.client.data(of: log, ofRun: "\(job.id.run)") {}
      }
      #expect(refusal.code == .notFound)
    }
  }
}
