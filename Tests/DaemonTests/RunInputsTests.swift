import Domain
import Foundation
import ObjectStorage
import Testing
import Wire

@testable import Daemon

@Suite struct RunInputsTests {
  @Test func aJobFileIsComparedKeyByKey() throws {
    var spec = JobSpec(name: "a", command: ["train", "--lr", "1"])
    spec.environment = ["LANG": "C"]
    spec.resources.nodes = 2
    spec.checkpoint.every = .minutes(5)
    spec.data = [DataRequest(name: "mnist", version: 2)]
    let leaves = try FlatJSON.leaves(of: spec)
    #expect(leaves["command"] == "train --lr 1")
    #expect(leaves["environment.LANG"] == "C")
    #expect(leaves["resources.nodes"] == "2")
    #expect(leaves["checkpoint.every"] == "300")
    #expect(leaves["data[0].name"] == "mnist")
    #expect(FlatJSON.jobFileKey("command") == "run")
    #expect(FlatJSON.jobFileKey("environment.LANG") == "env.LANG")
    #expect(FlatJSON.jobFileKey("resources.gpusPerNode") == "resources.gpus_per_node")
    #expect(FlatJSON.jobFileKey("seed") == "seeds.global")
    #expect(FlatJSON.jobFileKey("survivesLease") == "lease.survive")
  }

  @Test func onlyWhatIsNotTheSameForAllIsTold() {
    var one = RunInputs()
    one.job = ["run": "a", "priority": "50"]
    one.packages = ["numpy": "1"]
    var other = one
    other.job["run"] = "b"
    other.packages = [:]
    #expect(
      RunInputs.differences([one, other, one]) == [
        .init(section: "job", key: "run", values: ["a", "b", "a"]),
        .init(section: "packages", key: "numpy", values: ["1", nil, "1"]),
      ])
    #expect(RunInputs.differences([one, one]).isEmpty)
    #expect(RunInputs.differences([]).isEmpty)
  }

  @Test func codeIsComparedDownToTheHunk() throws {
    func text(_ path: String, _ text: String) -> CodeArchive.File {
      .init(path: path, content: .bytes(Array(text.utf8), isExecutable: false))
    }
    var one = RunInputs()
    one.files = [
      text("same", "x\n"), text("train.py", "a\nb\n"), text("gone", "g\n"),
      .init(path: "bin", content: .bytes([0], isExecutable: false)),
    ]
    var other = RunInputs()
    other.files = [
      text("same", "x\n"), text("train.py", "a\nc\n"), text("new", "n\n"),
      .init(path: "bin", content: .bytes([0, 1], isExecutable: false)),
    ]
    let found = one.fileDifferences(to: other, run: RunID(2))
    #expect(found.map(\.path) == ["bin", "gone", "new", "train.py"])
    #expect(found.map(\.change) == ["changed", "removed", "added", "changed"])
    #expect(found[0].diff == nil)
    #expect(found[3].diff == "@@ -1,2 +1,2 @@\n a\n-b\n+c")
    #expect(one.fileDifferences(to: RunInputs(), run: RunID(3)).isEmpty)
  }

  @Test(arguments: ["", " a", "a\nb", String(repeating: "x", count: 129)])
  func aWordOfARunIsOneLine(word: String) {
    #expect(throws: APIFailure.self) { try RunWordRoutes.check(word) }
  }
}
