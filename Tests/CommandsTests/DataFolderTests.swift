import Foundation
import Glibc
import Synchronization
import Testing

@testable import Commands

/// A folder of its own for each test.
func withFolder<T>(_ body: (String) async throws -> T) async throws -> T {
  let path = FileManager.default.temporaryDirectory.appendingPathComponent("baton-\(UUID().uuidString)").path
  try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  defer {
    do { try FileManager.default.removeItem(atPath: path) } catch { Issue.record(error) }
  }
  return try await body(path)
}

func write(_ text: String, _ path: String) throws {
  let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  try text.write(toFile: path, atomically: false, encoding: .utf8)
}

@Suite struct DataFolderTests {
  @Test func listsFilesBelowAFolderInTheOrderOfAManifest() async throws {
    try await withFolder { folder in
      for name in ["b.csv", "a/2.csv", "a/10.csv", "Z", "a.csv", ".hidden", "ä"] {
        try write(name, "\(folder)/\(name)")
      }
      let files = try DataFolder.files(at: folder)
      #expect(files.map(\.path) == [".hidden", "Z", "a.csv", "a/10.csv", "a/2.csv", "b.csv", "ä"])
      #expect(files.first { $0.path == "a/10.csv" }?.size == 8)
    }
  }

  @Test func takesOneFileAsADataSetOfOne() async throws {
    try await withFolder { folder in
      try write("x", "\(folder)/only.csv")
      #expect(try DataFolder.files(at: "\(folder)/only.csv").map(\.path) == ["only.csv"])
    }
  }

  @Test func refusesAnEmptyFolder() async throws {
    try await withFolder { folder in
      try FileManager.default.createDirectory(atPath: "\(folder)/a/b", withIntermediateDirectories: true)
      try expectRefusal(folder, "there is no file in")
    }
  }

  @Test func refusesSymbolicLinks() async throws {
    try await withFolder { folder in
      try write("x", "\(folder)/a")
      try FileManager.default.createSymbolicLink(atPath: "\(folder)/link", withDestinationPath: "a")
      try expectRefusal(folder, "link is a symbolic link")
      try expectRefusal("\(folder)/link", "neither a file nor a folder")
    }
  }

  @Test func refusesPipesAndNamesThatWouldBreakALine() async throws {
    try await withFolder { folder in
      #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
      try expectRefusal(folder, "socket, a pipe or a device")
    }
    try await withFolder { folder in
      try write("x", "\(folder)/a\nb")
      try expectRefusal(folder, "control characters")
    }
  }

  @Test func saysWhichPathIsNotThere() async throws {
    try await withFolder { folder in
      try expectRefusal("\(folder)/none", "cannot read \(folder)/none (No such file or directory)")
    }
  }

  @Test(.enabled(if: geteuid() != 0, "root reads everything")) func saysWhichFileMayNotBeRead() async throws {
    try await withFolder { folder in
      try write("x", "\(folder)/secret")
      #expect(chmod("\(folder)/secret", 0) == 0)
      let file = try #require(try DataFolder.files(at: folder).first)
      let error = await #expect(throws: CommandFailure.self) { try await DataFolder.hash(file) { _ in } }
      #expect(error?.message.contains("secret (Permission denied)") == true)
    }
  }

  @Test func hashesContentAndTellsProgress() async throws {
    try await withFolder { folder in
      try write("abc", "\(folder)/a")
      let file = try #require(try DataFolder.files(at: folder).first)
      let read = Mutex<Int64>(0)
      let hash = try await DataFolder.hash(file) { bytes in read.withLock { $0 += bytes } }
      // FIPS 180-4, the example of one block.
      #expect(hash == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
      #expect(read.withLock { $0 } == 3)
    }
  }

  @Test func noticesAFileThatChanged() async throws {
    try await withFolder { folder in
      try write("abc", "\(folder)/a")
      let file = try #require(try DataFolder.files(at: folder).first)
      try write("abcd", "\(folder)/a")
      let error = await #expect(throws: CommandFailure.self) { try await DataFolder.hash(file) { _ in } }
      #expect(error?.status == .tryLater)
    }
  }

  private func expectRefusal(_ path: String, _ words: String) throws {
    let error = #expect(throws: CommandFailure.self) { try DataFolder.files(at: path) }
    #expect(error?.status == .badInput)
    #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
  }
}
