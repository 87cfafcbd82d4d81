import Domain
import Testing

@Suite struct ProgramSavesTests {
  @Test(
    arguments: [
      ("ckpt-{step}.pt", "ckpt-120.pt", 120), ("ckpt-{step}.pt", "ckpt-000120.pt", 120),
      ("checkpoint-{step}/", "checkpoint-500", 500), ("epoch=*-step={step}.ckpt", "epoch=3-step=41.ckpt", 41),
      ("{step}", "7", 7), ("*{step}.pt", "a12.pt", 12), ("{step}*", "12x", 12), ("model_{step}0", "model_1200", 120),
      ("snapshot.pt", "snapshot.pt", nil), ("*.pt", "best.pt", nil), ("a*b*c", "axxbyyc", nil),
    ])
  func readsTheStepInAName(pattern: String, name: String, step: Int?) throws {
    let match = try #require(try CheckpointPattern(pattern).match(name))
    #expect(match.step == step)
  }

  @Test(
    arguments: [
      ("ckpt-{step}.pt", "ckpt-.pt"), ("ckpt-{step}.pt", "ckpt-12.pt.tmp"), ("ckpt-{step}.pt", "ckpt--1.pt"),
      ("ckpt-{step}.pt", "ckpt-12x.pt"), ("snapshot.pt", "snapshot.pt.tmp"), ("snapshot.pt", ""), ("a*b", "ac"),
    ])
  func takesNoOtherName(pattern: String, name: String) throws {
    #expect(try CheckpointPattern(pattern).match(name) == nil)
  }

  @Test func aPathAloneNamesOneThing() throws {
    let one = try ProgramSaves(path: "snapshot.pt", pattern: nil)
    #expect(one.folder == "" && one.pattern.text == "snapshot.pt" && !one.pattern.isFolder)
    let below = try ProgramSaves(path: "./runs/a/last/", pattern: nil)
    #expect(below.folder == "runs/a" && below.pattern.text == "last/" && below.pattern.isFolder)
    let many = try ProgramSaves(path: "out", pattern: "ckpt-{step}.pt")
    #expect(many.folder == "out" && many.pattern.tellsStep)
    #expect(try ProgramSaves(path: ".", pattern: "ckpt.pt").folder == "")
  }

  @Test(
    arguments: [
      ("/data/out", nil, ProgramSaves.Problem.absolute("/data/out")), ("~/out", nil, .absolute("~/out")),
      ("../out", nil, .outside("../out")), ("out/../..", "a", .outside("out/../..")), (".", nil, .all(".")),
      ("out", "a/{step}", .noName("a/{step}")), ("out", "/", .noName("/")),
      ("out", "{epoch}.pt", .unknownWord("epoch")),
      ("out", "{step}-{step}", .severalSteps("{step}-{step}")),
    ] as [(String, String?, ProgramSaves.Problem)])
  func saysWhatIsWrong(path: String, pattern: String?, problem: ProgramSaves.Problem) throws {
    #expect(throws: problem) { try ProgramSaves(path: path, pattern: pattern) }
  }

  @Test func theWordsOfAnAttemptThatResumes() {
    let command = ["python", "train.py"]
    #expect(
      ResumeCommand.adding(["--resume", "{checkpoint}", "--from={step}"])
        .words(after: command, checkpoint: "/n/$a/ckpt.pt", step: 12)
        == ["python", "train.py", "--resume", "/n/$$a/ckpt.pt", "--from=12"])
    #expect(
      ResumeCommand.replacing(["python", "resume.py", "${OUT}"]).words(after: command, checkpoint: "/c", step: 1)
        == ["python", "resume.py", "${OUT}"])
  }

  @Test func aProgramThatSavesByItselfIsNotAsked() throws {
    var policy = CheckpointPolicy()
    #expect(policy.askedBy == .usr1)
    policy.program = try ProgramSaves(path: "out", pattern: nil)
    #expect(!policy.canBeAsked)
    policy.signal = .usr2
    #expect(policy.askedBy == .usr2 && policy.canBeAsked)
  }
}
