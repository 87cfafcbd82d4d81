import Domain
import Testing

@testable import NodeAgent

@Suite struct ProgramSaveStateTests {
  private typealias Look = ProgramSaveState.Look

  private func at(_ seconds: Double) -> BootInstant { BootInstant(microseconds: Int64(seconds * 1_000_000)) }

  private func file(_ version: Int64, size: Int64 = 10, isOpen: Bool = false) -> Look {
    Look(files: ["": [size, version]], isFolder: false, isOpen: isOpen)
  }

  private func folder(_ versions: Int64...) -> Look {
    Look(
      files: Dictionary(uniqueKeysWithValues: versions.enumerated().map { ("f\($0)", [10, $1]) }), isFolder: true)
  }

  /// Which names are complete.
  private func names(_ state: inout ProgramSaveState, _ found: [String: Look], _ seconds: Double) -> [String] {
    state.saw(found, at: at(seconds)).keys.sorted()
  }

  @Test func aFileIsCompleteWhenItWasQuietForASecond() {
    var state = ProgramSaveState(before: [:])
    #expect(names(&state, ["a": file(1)], 0).isEmpty)
    #expect(state.nextLook == at(0.25))
    #expect(names(&state, ["a": file(2)], 0.9).isEmpty)
    #expect(names(&state, ["a": file(2)], 1.8).isEmpty)
    #expect(names(&state, ["a": file(2)], 1.9) == ["a"])
    #expect(!state.isIdle && state.nextLook == nil)
    state.copied("a", .done, at: at(2))
    #expect(state.isIdle && !state.isBusy)
    #expect(names(&state, ["a": file(2)], 9).isEmpty)
  }

  @Test func aFolderHasLongerPauses() {
    var state = ProgramSaveState(before: [:])
    #expect(names(&state, ["c": folder(1)], 0).isEmpty)
    #expect(names(&state, ["c": folder(1, 2)], 4).isEmpty)
    #expect(names(&state, ["c": folder(1, 2)], 8).isEmpty)
    #expect(names(&state, ["c": folder(1, 2)], 9) == ["c"])
  }

  @Test func whatCameByARenameIsCompleteAtOnce() {
    var state = ProgramSaveState(before: ["a": file(1), "c": folder(1)])
    state.wasRenamed("a")
    state.wasRenamed("c")
    #expect(names(&state, ["a": file(2), "c": folder(2)], 0) == ["a", "c"])
  }

  @Test func aRenameSaysNothingAboutWhatIsWrittenLater() {
    var state = ProgramSaveState(before: ["a": file(1)])
    state.wasRenamed("a")
    #expect(names(&state, ["a": file(1)], 0).isEmpty)
    #expect(names(&state, ["a": file(2)], 1).isEmpty)
  }

  @Test func nothingIsCompleteThatSomebodyWrites() {
    var state = ProgramSaveState(before: [:])
    state.wasRenamed("a")
    #expect(names(&state, ["a": file(1, isOpen: true)], 0).isEmpty)
    #expect(names(&state, ["a": file(1, isOpen: true)], 60).isEmpty)
    #expect(names(&state, ["a": file(1)], 61) == ["a"])
  }

  @Test func anEmptyFileIsNeverComplete() {
    var state = ProgramSaveState(before: [:])
    #expect(names(&state, ["a": file(1, size: 0)], 0).isEmpty)
    #expect(names(&state, ["a": file(1, size: 0)], 60).isEmpty)
  }

  @Test func aFileThatIsNeverQuietIsCopiedBetweenTwoWrites() {
    var state = ProgramSaveState(before: [:])
    for tick in 0..<20 {
      #expect(names(&state, ["a": file(Int64(tick))], Double(tick) / 2).isEmpty)
    }
    #expect(names(&state, ["a": file(99)], 10) == ["a"])
  }

  @Test func whatWasWrittenWhileItWasCopiedIsCopiedAgain() {
    var state = ProgramSaveState(before: [:])
    state.wasRenamed("a")
    #expect(names(&state, ["a": file(1)], 0) == ["a"])
    #expect(names(&state, ["a": file(2)], 1).isEmpty)
    state.copied("a", .changed, at: at(1))
    #expect(names(&state, ["a": file(2)], 1).isEmpty)
    #expect(names(&state, ["a": file(2)], 2) == ["a"])
    // And one that was whole is followed by the next.
    state.copied("a", .done, at: at(2))
    #expect(names(&state, ["a": file(3)], 3).isEmpty)
    #expect(names(&state, ["a": file(3)], 4) == ["a"])
  }

  @Test func whatIsGoneIsForgotten() {
    var state = ProgramSaveState(before: [:])
    #expect(names(&state, ["a": file(1)], 0).isEmpty)
    #expect(names(&state, [:], 1).isEmpty)
    #expect(!state.isBusy)
    #expect(names(&state, ["a": file(1)], 2).isEmpty)
  }

  @Test func beforeTheEndFilesNeedNotBeQuiet() {
    var state = ProgramSaveState(before: [:])
    #expect(names(&state, ["a": file(1), "b": file(1, isOpen: true), "c": folder(1)], 0).isEmpty)
    state.leaves()
    #expect(names(&state, ["a": file(1), "b": file(1, isOpen: true), "c": folder(1)], 0.1) == ["a"])
    #expect(state.isBusy)
    #expect(names(&state, ["b": file(2), "c": folder(1)], 0.4) == ["b"])
    #expect(names(&state, ["c": folder(1)], 5) == ["c"])
  }

  @Test func whatAKilledProgramWroteLastCountsOnlyIfItWasRenamedOrQuiet() {
    var state = ProgramSaveState(before: [:])
    #expect(names(&state, ["a": file(1), "b": file(1), "c": file(1)], 0).isEmpty)
    state.wasRenamed("b")
    state.isOver(wasClean: false)
    #expect(names(&state, ["a": file(2), "b": file(2), "c": file(1)], 1) == ["b", "c"])
    #expect(state.nextLook == nil)
  }

  @Test func whatAProgramWroteThatLeftByItselfIsComplete() {
    var state = ProgramSaveState(before: [:])
    state.isOver(wasClean: true)
    #expect(names(&state, ["a": file(2), "c": folder(3)], 1) == ["a", "c"])
  }

  @Test func theStepIsInTheNameOrTheMetricsOrCounted() {
    var steps = ProgramSaveSteps(resumedFrom: 40)
    #expect(steps.number(told: 60, measured: nil) == 60)
    #expect(steps.number(told: 60, measured: nil) == nil)
    steps.isFree(60)
    #expect(steps.number(told: 60, measured: nil) == 60)
    // A folder's renames are not heard of before it is watched: what came then is found complete after what came later.
    #expect(steps.number(told: 50, measured: nil) == nil)
    #expect(steps.number(told: 70, measured: nil) == 70)
    var fallenBack = ProgramSaveSteps(resumedFrom: 40)
    #expect(fallenBack.number(told: 20, measured: nil) == 20)
    var counted = ProgramSaveSteps(resumedFrom: 40)
    #expect(counted.number(told: nil, measured: nil) == 41)
    #expect(counted.number(told: nil, measured: 90) == 90)
    #expect(counted.number(told: nil, measured: 90) == 91)
  }
}
