import Foundation
import Testing
import Wire

@testable import Commands

@Suite struct ProvenanceTests {
  private let environment = [
    "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CEILING_DIRECTORIES": FileManager.default.temporaryDirectory.path,
  ]

  private func git(_ folder: String, _ arguments: String...) async throws {
    let result = await ProgramRun.run("git", arguments, in: folder, environment: environment)
    #expect(try #require(result).status == 0, "git \(arguments)")
  }

  private func collect(_ folder: String) async -> SourceProvenance {
    await Provenance.collect(folder: folder, host: "h", environment: environment)
  }

  private func withRepository(_ body: (String) async throws -> Void) async throws {
    try await withFolder { folder in
      try await git(folder, "init", "--quiet", "--initial-branch=work")
      try write("one\n", "\(folder)/train.py")
      try await git(folder, "add", ".")
      try await git(folder, "commit", "--quiet", "-m", "first")
      try await body(folder)
    }
  }

  @Test func knowsCommitAndBranchOfACleanTree() async throws {
    try await withRepository { folder in
      let found = await collect(folder)
      #expect(found.directory == folder)
      #expect(found.host == "h")
      #expect(found.gitCommit?.count == 40)
      #expect(found.gitBranch == "work")
      #expect(found.gitDirty == false)
      #expect(found.gitDiff == nil)
    }
  }

  @Test func keepsTheDiffOfADirtyTree() async throws {
    try await withRepository { folder in
      try write("two\n", "\(folder)/train.py")
      let found = await collect(folder)
      #expect(found.gitDirty == true)
      #expect(found.gitDiff?.contains("-one\n+two\n") == true)
    }
  }

  @Test func callsATreeWithUntrackedFilesDirty() async throws {
    try await withRepository { folder in
      try write("x", "\(folder)/new.py")
      let found = await collect(folder)
      #expect(found.gitDirty == true)
      #expect(found.gitDiff == nil)
    }
  }

  @Test func knowsNoBranchOffABranch() async throws {
    try await withRepository { folder in
      try await git(folder, "checkout", "--quiet", "--detach")
      let found = await collect(folder)
      #expect(found.gitCommit != nil)
      #expect(found.gitBranch == nil)
    }
  }

  @Test func cutsALongDiff() async throws {
    try await withRepository { folder in
      try write(String(repeating: "ä line of text\n", count: 200_000), "\(folder)/train.py")
      let diff = try #require(await collect(folder).gitDiff)
      #expect(diff.utf8.count <= Provenance.diffBytesMost)
      #expect(diff.utf8.count > Provenance.diffBytesMost - 4)
    }
  }

  @Test func knowsNothingOfGitOutsideARepositoryOrBeforeTheFirstCommit() async throws {
    try await withFolder { folder in
      #expect(await collect(folder) == SourceProvenance(directory: folder, host: "h"))
      try await git(folder, "init", "--quiet", "--initial-branch=work")
      let found = await collect(folder)
      #expect(found.gitCommit == nil)
      #expect(found.gitBranch == "work")
      #expect(found.gitDirty == false)
    }
  }

  @Test func worksWithoutGit() async throws {
    try await withFolder { folder in
      let found = await Provenance.collect(folder: folder, host: "h", environment: ["PATH": folder])
      #expect(found == SourceProvenance(directory: folder, host: "h"))
    }
  }

  @Test func leavesOutACharacterThatTheLimitCut() {
    #expect(Provenance.text(Array("aä".utf8)) == "aä")
    #expect(Provenance.text(Array("aä".utf8.dropLast())) == "a")
    #expect(Provenance.text(Array("a😀".utf8.dropLast())) == "a")
    #expect(Provenance.text(Array("a😀".utf8)) == "a😀")
    #expect(Provenance.text([]) == "")
  }
}
