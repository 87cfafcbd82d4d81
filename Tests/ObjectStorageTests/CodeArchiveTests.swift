import Foundation
import ObjectStorage
import Testing

@Suite struct CodeArchiveTests {
  private let files = [
    CodeArchive.File(path: "run.sh", content: .bytes(Array("#!/bin/sh\n".utf8), isExecutable: true)),
    CodeArchive.File(path: "a/train.py", content: .bytes(Array("print(1)\n".utf8), isExecutable: false)),
    CodeArchive.File(path: "a/latest", content: .link(target: "train.py")),
    CodeArchive.File(path: "a/far", content: .link(target: String(repeating: "x/", count: 80))),
    CodeArchive.File(path: String(repeating: "long", count: 50), content: .bytes([], isExecutable: false)),
  ]

  @Test func theSameFilesMakeTheSameTarAndComeBack() throws {
    let tar = CodeArchive.pack(files)
    #expect(CodeArchive.pack(files.reversed()) == tar)
    #expect(CodeArchive.sha256(of: tar).count == 64)
    #expect(try CodeArchive.files(of: tar) == files.sorted { $0.path < $1.path })
  }

  @Test func writesFilesThatAreWhatTheyWere() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("baton-code-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try CodeArchive.unpack(files, to: folder)
    #expect(FileManager.default.isExecutableFile(atPath: folder + "/run.sh"))
    #expect(!FileManager.default.isExecutableFile(atPath: folder + "/a/train.py"))
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder + "/a/latest") == "train.py")
    #expect(try String(contentsOfFile: folder + "/a/latest", encoding: .utf8) == "print(1)\n")
  }

  @Test(arguments: ["../out", "/etc/passwd", "a/../../b", "a//b", "./a/..", ""])
  func refusesAPathThatLeadsOut(path: String) {
    #expect(!CodeArchive.isInside(path))
    let tar = CodeArchive.pack([.init(path: path, content: .bytes([1], isExecutable: false))])
    #expect(throws: CodeArchive.Fault.self) { try CodeArchive.files(of: tar) }
  }

  @Test func writesNoFileThroughALink() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("baton-code-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let elsewhere = folder + "-elsewhere"
    try FileManager.default.createDirectory(atPath: elsewhere, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: elsewhere) }
    let files = [
      CodeArchive.File(path: "a", content: .link(target: elsewhere)),
      CodeArchive.File(path: "a/b", content: .link(target: "x")),
    ]
    #expect(throws: CodeArchive.Fault.self) { try CodeArchive.unpack(files, to: folder) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere).isEmpty)
  }

  @Test func refusesWhatIsNoTar() {
    #expect(throws: CodeArchive.Fault.self) { try CodeArchive.files(of: Array(repeating: 7, count: 1024)) }
  }
}
