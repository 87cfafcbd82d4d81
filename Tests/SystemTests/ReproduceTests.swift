import APIClient
import Domain
import Foundation
import Lab
import Testing
import Wire

/// Runs that are done again from what was captured, and what is known of how runs belong together.
@Suite struct ReproduceTests {
  /// Its series depends on a file that git does not know, and on a change that was not committed.
  private static let program = """
    import json, os, helper
    seed = int(os.environ["BATON_SEED"])
    with open(os.environ["BATON_METRICS"], "a") as metrics:
        for step in range(1, 21):
            metrics.write(json.dumps({"step": step, "metric": "loss", "value": helper.loss(step, seed) * SCALE}) + "\\n")
    print("done in", os.getcwd())

    """

  private func git(_ folder: String, _ arguments: String...) async throws {
    let environment = [
      "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
      "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_GLOBAL": "/dev/null",
    ]
    let result = try await SystemFixture.run(
      "/usr/bin/env", ["git", "-C", folder] + arguments, environment: environment)
    try #require(result.status == 0, "git \(arguments): \(result.output)")
  }

  private func put(_ text: String, _ path: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }

  /// A work tree with a commit, a change to it, and a file that git does not know.
  private func workTree(_ s: SystemFixture, helper: String) async throws -> String {
    let tree = s.folder + "/work"
    try FileManager.default.createDirectory(atPath: tree + "/jobs", withIntermediateDirectories: true)
    try put(Self.program.replacing("SCALE", with: "1"), tree + "/jobs/train.py")
    try await git(tree, "init", "--quiet", "--initial-branch=main")
    try await git(tree, "add", ".")
    try await git(tree, "commit", "--quiet", "-m", "first")
    try put(Self.program.replacing("SCALE", with: "3"), tree + "/jobs/train.py")
    try put(helper, tree + "/jobs/helper.py")
    try put(
      """
      name: small
      run: python3 train.py
      tags: [first-try]
      env: {HF_TOKEN: hf_very_secret, LANG: C}
      seeds: {global: 7}

      """, tree + "/jobs/job.yaml")
    return tree
  }

  /// The CLI as somebody has it who only has a token and an address: another home, and no file of the first.
  private func elsewhere(_ s: SystemFixture, _ arguments: String...) async throws -> ProgramResult {
    let home = s.folder + "/other-home"
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    let known = try ClientConfiguration.load(file: s.lab.layout.clientConfiguration, environment: [:])
    let token = home + "/token"
    try put(try #require(known.token), token)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: token)
    return try await SystemFixture.run(
      Places.find().bin + "/baton", arguments,
      environment: [
        "HOME": home, "XDG_CONFIG_HOME": home + "/.config", "BATON_CONFIG": "", "BATON_URL": known.url,
        "BATON_TOKEN_FILE": token,
      ])
  }

  @Test func aRunOfAnUncommittedTreeIsDoneAgainFromElsewhere() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let tree = try await workTree(s, helper: "def loss(step, seed):\n    return seed / step\n")
      let submitted = try await s.baton("submit", tree + "/jobs/job.yaml", "--wait")
      try #require(submitted.status == 0, "\(submitted.output)")
      let job = try #require(try await s.client.jobs(all: true).items.first)
      let original = try await s.client.run("\(job.id)")

      let code = try #require(original.provenance.source.code)
      #expect(code.folder == "jobs")
      #expect(code.untracked == ["jobs/helper.py", "jobs/job.yaml"])
      #expect(original.provenance.source.gitDiff?.contains("* 3") == true)
      #expect(original.tags == ["first-try"])
      #expect(original.attempts.first?.cost?.nodeSeconds ?? 0 > 0)
      #expect(original.attempts.first?.worldSize == 1)
      let environment = try #require(original.provenance.environments?.first)
      #expect(environment.facts["kernel"] != nil)
      #expect(environment.facts["python"] != nil)
      #expect(!original.provenance.jobFile.contains("hf_very_secret"))
      #expect(original.provenance.resolved?.contains("hf_very_secret") == false)
      #expect(original.provenance.resolved?.contains("HF_TOKEN") == true)

      // Nothing of where it was submitted from is there any more.
      try FileManager.default.removeItem(atPath: tree)
      let again = try await elsewhere(s, "run", "reproduce", "\(original.id)")
      #expect(again.status == 0, "\(again.output)")
      #expect(again.output.contains("the same series, bit for bit"), "\(again.output)")
      let newest = try #require(try await s.client.jobs(all: true).items.first)
      let copy = try await s.client.run("\(newest.id)")
      #expect(copy.reproduces == original.id)
      #expect(copy.provenance.source.code == code)
      let series = try await s.client.metrics("\(copy.id)", "loss")
      #expect(series.values == (1...20).map { 7.0 / Double($0) * 3 })

      let compared = try await elsewhere(s, "run", "compare", "\(original.id)", "\(copy.id)")
      #expect(compared.status == 0, "\(compared.output)")
      #expect(compared.output.contains("nothing that is known differed going in"), "\(compared.output)")
      let fetched = try await elsewhere(s, "run", "code", "\(original.id)", "--into", s.folder + "/as-it-was")
      #expect(fetched.status == 0, "\(fetched.output)")
      #expect(FileManager.default.fileExists(atPath: s.folder + "/as-it-was/jobs/helper.py"))
    }
  }

  @Test func sayWhereARunThatIsDoneAgainDiffers() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let chance =
        "import os\ndef loss(step, seed):\n    return int.from_bytes(os.urandom(6), 'big') if step > 4 else step\n"
      let tree = try await workTree(s, helper: chance)
      let submitted = try await s.baton("submit", tree + "/jobs/job.yaml", "--wait")
      try #require(submitted.status == 0, "\(submitted.output)")
      let original = try #require(try await s.client.jobs(all: true).items.first).id.run
      let again = try await s.baton("run", "reproduce", "\(original)")
      #expect(again.status == 1, "\(again.output)")
      #expect(again.output.contains("they part at step 5"), "\(again.output)")
      // A change of the code is told down to the hunk.
      try put("def loss(step, seed):\n    return step\n", tree + "/jobs/helper.py")
      let other = try await s.baton("submit", tree + "/jobs/job.yaml", "--wait", "--name", "other")
      try #require(other.status == 0, "\(other.output)")
      let newest = try #require(try await s.client.jobs(all: true).items.first).id.run
      let compared = try await s.baton("run", "compare", "\(original)", "\(newest)", "--diff")
      #expect(compared.status == 1)
      for words in ["M jobs/helper.py", "+    return step", "hash"] {
        #expect(compared.output.contains(words), "\(words): \(compared.output)")
      }
    }
  }

  @Test func aRunStartsFromWhatAnotherSaved() async throws {
    try await SystemFixture.with { s in
      try await s.lease()
      let base = try await s.count("--steps 12 --save-at 10").id
      try await s.wait(base, .completed)
      let saved = try #require(try await s.client.checkpoints(of: "\(base)").items.last { $0.state == .durable })
      let step = saved.step
      let key = UUID().uuidString
      var request = SubmitRequest(
        file: s.countingJob("--steps \(step + 6)"), fileName: "test.yaml", submissionKey: key,
        provenance: SourceProvenance())
      request.startFrom = "\(base.run)@\(step)"
      let tuned = try #require(try await s.client.submit(request).job).id
      try await s.wait(tuned, .completed)
      let run = try await s.client.run("\(tuned)")
      #expect(run.startedFrom?.id == saved.id)
      #expect(run.attempts.first?.resumedFromRun == base.run)
      let series = try await s.client.metrics("\(tuned)", "sum")
      #expect(series.steps == Array((step + 1)...(step + 6)))
      #expect(series.values.first == Double((step + 1) * (step + 2) / 2))
      let lineage = try await s.baton("run", "lineage", "\(tuned.run)")
      #expect(lineage.output.contains("\(saved.id) step \(step)"), "\(lineage.output)")
      #expect(lineage.output.contains("started from it  <"), "\(lineage.output)")
      let tagged = try await s.baton("run", "tag", "\(tuned.run)", "tuned")
      let noted = try await s.baton("run", "note", "\(tuned.run)", "from the base")
      #expect(tagged.status == 0 && noted.status == 0, "\(tagged.output) \(noted.output)")
      let listed = try await s.baton("run", "list", "--tag", "tuned")
      #expect(listed.output.contains("\(tuned.rawValue)"), "\(listed.output)")
      let shown = try await s.baton("run", "show", "\(tuned.run)")
      for words in ["from the base", "tuned", "step \(step) of \(base.run)"] {
        #expect(shown.output.contains(words), "\(words): \(shown.output)")
      }
    }
  }
}
