import Foundation
import SSH
import Synchronization
import TestKit
import Testing

@Suite(.timeLimit(.minutes(5)))
struct UploadTests {
  /// The digest of "hello\n", by sha256sum.
  let digest = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
  let content = Array("hello\n".utf8)

  @Test func putsAFileInPlaceWithItsMode() async throws {
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      let target = server.folder.path + "/new folder/it's/a file"
      try await connection.upload(bytes: content, to: target, mode: 0o750, sha256: digest.uppercased())
      #expect(FileManager.default.contents(atPath: target) == Data(content))
      let mode = try FileManager.default.attributesOfItem(atPath: target)[.posixPermissions] as? Int
      #expect(mode == 0o750)
    }
  }

  @Test func replacesAFileWhole() async throws {
    try await SSHDFixture.with { server in
      let target = server.folder.path + "/target"
      try Data("something much longer that was here before".utf8).write(to: URL(fileURLWithPath: target))
      try await server.connect().upload(bytes: content, to: target, sha256: digest)
      #expect(FileManager.default.contents(atPath: target) == Data(content))
    }
  }

  @Test func aWrongChecksumLeavesEverythingAsItWas() async throws {
    try await SSHDFixture.with { server in
      let folder = server.folder.path + "/to"
      let target = folder + "/target"
      let connection = try await server.connect()
      try await connection.upload(bytes: content, to: target, sha256: digest)
      let other = String(repeating: "0", count: 64)
      let error = try await sshError { try await connection.upload(bytes: content, to: target, sha256: other) }
      #expect(error.code == .checksumMismatch(expected: other, actual: digest))
      #expect(FileManager.default.contents(atPath: target) == Data(content))
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["target"])
    }
  }

  @Test func saysWhyTheNodeCouldNotStoreIt() async throws {
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      let bytes = [UInt8](repeating: 1, count: 3 << 20)
      let error = try await sshError {
        try await connection.upload(bytes: bytes, to: "/dev/null/x", sha256: digest)
      }
      #expect(error.code == .uploadFailed)
      #expect(error.detail.contains("/dev/null"))
      let folder = try await sshError { try await connection.upload(bytes: bytes, to: "/tmp", sha256: digest) }
      #expect(folder.detail.contains("it is a directory"))
    }
  }

  @Test func sendsALargeFileAndReportsProgress() async throws {
    try await SSHDFixture.with { server in
      let size = 9_000_001
      let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }
      let source = server.folder.appendingPathComponent("source")
      try Data(bytes).write(to: source)
      let connection = try await server.connect()
      let sum = try await connection.run(["sha256sum", source.path]).stdoutText.prefix(64)
      let target = server.folder.path + "/target"
      let reports = Mutex<[Int]>([])
      try await connection.upload(bytes: bytes, to: target, sha256: String(sum)) { sent, total in
        reports.withLock { $0.append(sent) }
        if total != size { Issue.record("total is \(total)") }
      }
      #expect(FileManager.default.contentsEqual(atPath: source.path, andPath: target))
      #expect(reports.withLock { $0.last == size && $0 == $0.sorted() && $0.count > 2 })
    }
  }

  @Test func anInterruptedUploadLeavesNoPart() async throws {
    try await SSHDFixture.with { server in
      let connection = try await server.connect()
      let folder = server.folder.path + "/to"
      let (parts, arrived) = AsyncStream.makeStream(of: Int.self)
      let bytes = [UInt8](repeating: 1, count: 64 << 20)
      let digest = digest
      let upload = Task {
        try await connection.upload(bytes: bytes, to: folder + "/target", sha256: digest) { sent, _ in
          arrived.yield(sent)
        }
      }
      for await sent in parts where sent >= 8 << 20 { break }
      upload.cancel()
      await #expect(throws: CancellationError.self) { try await upload.value }
      // The node's side ends on its own, and leaves nothing.
      try await FileChanges.until(in: [folder]) { try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty }
    }
  }
}
