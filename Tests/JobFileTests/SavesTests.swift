import Domain
import JobFile
import Testing

@Suite struct SavesTests {
  private func spec(_ lines: String) throws -> JobSpec {
    try parseJobFile("name: a\nrun: python train.py\n" + lines, fileName: "job.yaml")
  }

  @Test func readsWhereAProgramSavesAndHowItResumes() throws {
    let nano = try spec("checkpoint: {path: out, pattern: ckpt.pt}\nresume: {args: [--init_from=resume]}")
    #expect(nano.checkpoint.program == (try ProgramSaves(path: "out", pattern: "ckpt.pt")))
    #expect(nano.resume == .adding(["--init_from=resume"]))
    #expect(nano.checkpoint.askedBy == .none)
    let steps = try spec("checkpoint: {path: out, pattern: 'checkpoint-{step}/', every: 5m, signal: SIGUSR2}")
    #expect(steps.checkpoint.program?.pattern.text == "checkpoint-{step}/")
    #expect(steps.checkpoint.signal == .usr2)
  }

  @Test func argumentsAreWordsOfAnyKind() throws {
    #expect(try spec("resume: {args: '--resume {checkpoint}'}").resume == .adding(["--resume", "{checkpoint}"]))
    // As Hydra and OmegaConf take them.
    #expect(try spec("resume: {args: 'init_from=resume x=\"a b\"'}").resume == .adding(["init_from=resume", "x=a b"]))
    #expect(try spec("resume: {run: python go_on.py}").resume == .replacing(["python", "go_on.py"]))
    #expect(try spec("").resume == nil)
  }

  @Test(
    arguments: [
      ("checkpoint: {path: /out}", "job.yaml:3:20: checkpoint.path: expected a path below the working folder"),
      ("checkpoint: {path: out, pattern: '{epoch}.pt'}", "checkpoint.pattern: {epoch} means nothing here"),
      ("checkpoint: {pattern: ckpt.pt}", "checkpoint.pattern: means nothing without path"),
      ("checkpoint: {path: out, every: 10m}", "checkpoint.every: a program that saves by itself"),
      ("checkpoint: {signal: none, every: 10m}", "with signal: none nobody asks"),
      ("checkpoint: {signal: TERM}", "is one of USR1, USR2, HUP, none; found 'TERM'"),
      ("resume: {args: [a], run: b}", "say one of the two"),
      ("resume: {args: 'a | b'}", "resume.args has an unquoted '|'"),
      ("resume: {run: ''}", "resume.run: names no program"), ("resume: {arg: [a]}", "did you mean 'args'?"),
    ])
  func saysWhatIsWrong(lines: String, words: String) {
    let found = complaintsAbout(lines)
    #expect(found.count == 1)
    #expect(found.first?.contains(words) == true, "\(found)")
  }
}
