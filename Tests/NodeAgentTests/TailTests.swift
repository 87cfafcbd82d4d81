import Domain
import Foundation
import Testing
import Wire

@testable import NodeAgent

@Suite struct TailTests {
  private func withFile(_ body: (String, FileHandle) throws -> Void) throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("baton-tail-\(UUID().uuidString)").path
    try #require(FileManager.default.createFile(atPath: path, contents: nil))
    let file = try #require(FileHandle(forUpdatingAtPath: path))
    try body(path, file)
    try file.close()
    try FileManager.default.removeItem(atPath: path)
  }

  private func news(_ tail: inout MetricsTail) throws -> [String] {
    var lines: [String] = []
    try tail.news { found, _ in lines += found }
    return lines
  }

  private func sequences(_ tail: inout JournalTail) throws -> [Int64] { try tail.news().map(\.sequence) }

  @Test func readsEachJournalEntryOnce() throws {
    try withFile { path, file in
      func line(_ sequence: Int64) throws -> Data {
        let entry = JournalEntry(
          sequence: sequence, at: .init(microseconds: 0), elapsed: .zero, event: .checkpointAsked)
        return Data(try Codec.line(entry))
      }
      file.write(try line(1))
      var tail = JournalTail(path)
      try #expect(sequences(&tail) == [1])
      // Nobody looks at what was read, however often there is something new.
      try file.seek(toOffset: 0)
      file.write(Data("spoilt".utf8))
      try file.seekToEnd()
      let second = try line(2)
      file.write(second.prefix(9))
      try #expect(sequences(&tail) == [])
      file.write(second.dropFirst(9))
      file.write(try line(3))
      try #expect(sequences(&tail) == [2, 3])
      try #expect(sequences(&tail) == [])
    }
  }

  @Test func tellsWholeLinesOnly() throws {
    try withFile { path, file in
      var tail = MetricsTail(path, from: 0)
      file.write(Data("one\n\ntwo\nthr".utf8))
      try #expect(news(&tail) == ["one", "two"])
      #expect(tail.offset == 9)
      file.write(Data("ee\n".utf8))
      try #expect(news(&tail) == ["three"])
      #expect(tail.offset == 15)
    }
  }

  @Test func cutsALineWithoutAnEndAndGoesOnBehindIt() throws {
    try withFile { path, file in
      var tail = MetricsTail(path, from: 0)
      file.write(Data("one\n".utf8))
      var told: [String] = []
      for _ in 0..<40 {
        file.write(Data(repeating: UInt8(ascii: "x"), count: 100_000))
        told += try news(&tail)
      }
      #expect(told.count == 2)
      #expect(told.last?.hasPrefix("xxx") == true && told.last?.hasSuffix(MetricsTail.cutMark) == true)
      #expect(told.allSatisfy { $0.utf8.count < 2000 })
      let middle = tail.offset
      file.write(Data("tail\ntwo\n".utf8))
      try #expect(news(&tail) == ["two"])
      // One who comes back in the middle of it does not take the rest of it for a line.
      var late = MetricsTail(path, from: middle)
      try #expect(news(&late) == ["two"])
      var other = MetricsTail(path, from: 4)
      try #expect(news(&other).count == 2)
    }
  }
}
