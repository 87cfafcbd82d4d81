import Domain
import Foundation
import Testing
import Wire

@testable import Commands

/// The arithmetic of studies, their files and their tables.
@Suite struct StudyTests {
  /// A series of one point a step; `seconds` is when each was made, `attempts` by which.
  private func series(_ seconds: [Double], attempts: [Int]? = nil, values: [Double]? = nil) -> MetricSeries {
    MetricSeries(
      metric: "loss", steps: Array(1...seconds.count), values: values ?? seconds,
      attempts: attempts ?? seconds.map { _ in 1 }, recordedAt: seconds.map { Samples.now + .seconds($0) })
  }

  private func question(
    _ kind: StudyQuestion.Kind, values: [Int] = [1, 2], repeats: Int = 2, images: Int? = nil, isPerNode: Bool = false,
    isRate: Bool = false, warmUp: Int = 0
  ) -> StudyQuestion {
    StudyQuestion(
      kind: kind, values: values, repeats: repeats, metric: "loss", metricIsRate: isRate, imagesPerStep: images,
      isPerNode: isPerNode, warmUp: warmUp)
  }

  @Test func paceIsStepsOverTheirTimeWithoutTheWarmUp() {
    #expect(StepPace.stepsPerSecond(series([10, 11, 12, 13]), warmUp: 0) == 1)
    #expect(StepPace.stepsPerSecond(series([0, 100, 100.5, 101]), warmUp: 1) == 2)
    #expect(StepPace.stepsPerSecond(series([0, 1, 2]), warmUp: 2) == nil)
    #expect(StepPace.stepsPerSecond(series([0]), warmUp: 0) == nil)
    var clockless = series([0, 1, 2])
    clockless.recordedAt = nil
    #expect(StepPace.stepsPerSecond(clockless, warmUp: 0) == nil)
  }

  @Test func whatLiesBetweenTwoAttemptsCostsNothing() {
    let twice = series([0, 1, 2, 1000, 1001, 1002], attempts: [1, 1, 1, 2, 2, 2])
    #expect(StepPace.stepsPerSecond(twice, warmUp: 0) == 1)
    // The warm-up is that of each attempt.
    let slow = series([0, 5, 6, 1000, 1005, 1006], attempts: [1, 1, 1, 2, 2, 2])
    #expect(StepPace.stepsPerSecond(slow, warmUp: 1) == 1)
  }

  @Test func aRateThatTheProgramTellsIsAveraged() {
    let told = series([0, 1, 2, 3], attempts: [1, 1, 2, 2], values: [5, 100, 7, 200])
    #expect(question(.batch, isRate: true, warmUp: 1).rate(told, value: 4) == 150)
    #expect(question(.batch, isRate: true, warmUp: 9).rate(told, value: 4) == nil)
  }

  @Test func imagesOfAStepAreTheBatchOrWhatIsTold() {
    let perSecond = series([0, 1, 2])
    #expect(question(.batch).rate(perSecond, value: 32) == 32)
    #expect(question(.scaling, images: 64).rate(perSecond, value: 4) == 64)
    #expect(question(.scaling, images: 64, isPerNode: true).rate(perSecond, value: 4) == 256)
  }

  /// The second table of the talk that this follows: 194.86, 389.81 and 1466.31 images a second on 1, 2 and 8 machines.
  @Test func speedUpAndEfficiencyAreThoseOfTheTalk() throws {
    let result = StudyResult(.scaling, rates: [8: [1466.31], 1: [194.86], 2: [389.81], 4: []])
    #expect(result.rows.map(\.value) == [1, 2, 8])
    let speedUps = result.rows.map { ($0.speedUp * 10).rounded() / 10 }
    #expect(speedUps == [1, 2, 7.5])
    let efficiencies = result.rows.map { Int(($0.efficiency * 100).rounded()) }
    #expect(efficiencies == [100, 100, 94])
    #expect(result.rows.allSatisfy { $0.deviation == nil && $0.speedUpDeviation == nil })
  }

  @Test func theSpreadIsThatOfASample() throws {
    let result = StudyResult(.batch, rates: [1: [9, 11], 2: [17, 20, 23]])
    #expect(result.rows[0].mean == 10 && result.rows[1].mean == 20)
    #expect(result.rows[0].deviation == 2.0.squareRoot() && result.rows[1].deviation == 3)
    #expect(result.rows[0].speedUpDeviation == nil)
    let spread = try #require(result.rows[1].speedUpDeviation)
    let expected = 2 * (0.15 * 0.15 + 0.02).squareRoot()
    #expect(abs(spread - expected) < 1e-12)
  }

  @Test func theFileGetsTheMatrixOfTheStudy() throws {
    let text = "name: a\nresources:\n  nodes: ${{ matrix.nodes }}\nrun: b\n"
    let made = try StudyFile.make(text, name: "a.yaml", question(.scaling, values: [1, 2], repeats: 2), atOnce: 1)
    #expect(made.contains("matrix: {repeat: [1, 2], nodes: [1, 2]}"))
    #expect(made.contains("at_most: 1"))
    for bad in ["name: a\nrun: b\n", text + "matrix: {x: [1]}\n", "{run: 'matrix.nodes'}"] {
      #expect(throws: CommandFailure.self) { try StudyFile.make(bad, name: "a.yaml", question(.scaling), atOnce: 1) }
    }
  }

  @Test func aRecordReadsBackAndOtherFilesAreRefused() throws {
    let folder = NSTemporaryDirectory() + "/baton-study-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let record = StudyRecord(
      question: question(.batch), file: "name: a", key: "k", group: JobGroupID(3),
      result: StudyResult(.batch, rates: [1: [2]]))
    let path = folder + "/a.json"
    #expect(try StudyRecord.load(path) == nil)
    try record.save(path)
    #expect(try StudyRecord.load(path) == record)
    try Data("{}".utf8).write(to: URL(fileURLWithPath: path))
    #expect(throws: CommandFailure.self) { try StudyRecord.load(path) }
  }

  @Test func tableAndPageSayTheSame() {
    let result = StudyResult(.scaling, rates: [1: [100, 102], 2: [190, 194]])
    #expect(
      StudyText.table(result).rendered(width: nil).split(separator: "\n").map(String.init) == [
        "NODES  IMAGES/S  SPREAD  RUNS      SPEED-UP  EFFICIENCY",
        "    1     101.0  ± 1.41     2         1.00x        100%",
        "    2     192.0  ± 2.83     2  1.90x ± 0.04         95%",
      ])
    let page = StudyPage.html(result, title: "a<b")
    #expect(page.contains("a&lt;b") && page.contains("192.0") && page.contains("<svg") && page.contains("95%"))
    #expect(page.components(separatedBy: "<circle").count == 3)
    let batch = StudyResult(.batch, rates: [1: [1], 2: [2]])
    #expect(!StudyText.table(batch).rendered(width: nil).contains("EFFICIENCY"))
    #expect(StudyPage.svg(StudyResult(.batch, rates: [:])).contains("no run"))
    #expect(StudyText.plot(batch).rendered(width: 40, height: 4).contains("batch size"))
  }

  @Test(arguments: ["0", "1,1", "a", "1,,2", ""])
  func valuesThatAreNoneAreRefused(text: String) {
    #expect(throws: (any Error).self) { try StudyOptions.values(text) }
  }

  @Test func valuesAreSorted() throws {
    #expect(try StudyOptions.values("8,1,2") == [1, 2, 8])
  }
}
