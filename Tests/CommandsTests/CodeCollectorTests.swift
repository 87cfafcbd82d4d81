import Domain
import Foundation
import ObjectStorage
import Testing

@testable import Commands

@Suite struct CodeCollectorTests {
  private let environment = [
    "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CEILING_DIRECTORIES": FileManager.default.temporaryDirectory.path,
  ]

  private func git(_ folder: String, _ arguments: String...) async throws {
    let result = await ProgramRun.run("git", arguments, in: folder, environment: environment)
    #expect(try #require(result).status == 0, "git \(arguments)")
  }

  private func put(_ text: String, _ path: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }

  private func pack(_ folder: String) async throws -> CodeCollector.Packed {
    try #require(await CodeCollector(folder: folder, environment: environment).pack())
  }

  private func paths(_ packed: CodeCollector.Packed) throws -> [String] {
    try CodeArchive.files(of: packed.tar).map(\.path)
  }

  private func withRepository(_ body: (String) async throws -> Void) async throws {
    try await withFolder { folder in
      try await git(folder, "init", "--quiet", "--initial-branch=work")
      try FileManager.default.createDirectory(atPath: "\(folder)/jobs", withIntermediateDirectories: true)
      try put("one\n", "\(folder)/train.py")
      try put("name: a\n", "\(folder)/jobs/a.yaml")
      try put("*.log\n", "\(folder)/.gitignore")
      try await git(folder, "add", ".")
      try await git(folder, "commit", "--quiet", "-m", "first")
      try await body(folder)
    }
  }

  @Test func packsTheTreeAsItIsNow() async throws {
    try await withRepository { folder in
      try put("two\n", "\(folder)/train.py")
      try put("x", "\(folder)/new.py")
      try put("x", "\(folder)/noise.log")
      try put("secret", "\(folder)/.env")
      let packed = try await pack(folder + "/jobs")
      #expect(try paths(packed) == [".gitignore", "jobs/a.yaml", "new.py", "train.py"])
      #expect(packed.capture.folder == "jobs")
      #expect(packed.capture.files == 4)
      #expect(packed.capture.untracked == ["new.py"])
      #expect(packed.capture.leftOut.map(\.path) == [".env"])
      #expect(packed.capture.sha256 == CodeArchive.sha256(of: packed.tar))
      let train = try CodeArchive.files(of: packed.tar).first { $0.path == "train.py" }
      #expect(train?.content == .bytes(Array("two\n".utf8), isExecutable: false))
      #expect(packed.warning?.contains(".env") == true)
    }
  }

  @Test func theSameFilesAreTheSameCodeElsewhere() async throws {
    var hashes: Set<String> = []
    for _ in 0..<2 {
      try await withRepository { folder in hashes.insert(try await pack(folder).capture.sha256) }
    }
    #expect(hashes.count == 1)
  }

  @Test func aFileThatWasRemovedIsNotThere() async throws {
    try await withRepository { folder in
      try FileManager.default.removeItem(atPath: "\(folder)/train.py")
      #expect(try await paths(pack(folder)) == [".gitignore", "jobs/a.yaml"])
    }
  }

  @Test func namesWhatIsOverTheLimit() async throws {
    try await withRepository { folder in
      try put(String(repeating: "x", count: 200), "\(folder)/large.bin")
      var collector = CodeCollector(folder: folder, environment: environment)
      collector.limits.fileMost = ByteCount(100)
      let packed = try #require(await collector.pack())
      #expect(packed.capture.leftOut.map(\.path) == ["large.bin"])
    }
  }

  @Test func packsNothingOutsideAWorkTree() async throws {
    try await withFolder { folder in
      #expect(await CodeCollector(folder: folder, environment: environment).pack() == nil)
    }
  }
}
