import Domain
import Store
import Testing

@testable import Daemon

@Suite struct StateLineTests {
  @Test func readsWhatARankLoaded() {
    let line =
      #"{"state": "loaded", "step": 12, "rank": 3, "ingredients": {"weights": "ab", "rng.torch": "cd"}, "time": 1}"#
    let expected = LoadedState(rank: 3, step: 12, ingredients: ["weights": "ab", "rng.torch": "cd"])
    #expect(StateLine.parse(line) == expected)
    #expect(MetricLine.parse(line) == nil, "and it is no point of a curve")
  }

  @Test(
    arguments: [
      #"{"step": 12, "metric": "ingredients", "value": 1}"#,
      #"{"state": "saved", "step": 1, "rank": 0, "ingredients": {}}"#,
      #"{"state": "loaded", "step": -1, "rank": 0, "ingredients": {}}"#,
      #"{"state": "loaded", "step": 1, "rank": 0, "ingredients": {"a": "\u0000"}}"#,
      #"{"state": "loaded", "step": 1, "rank": 0, "ingredients": {"": "x"}}"#,
      #"{"state": "loaded", "step": 1, "rank": 0, "ingredients": {"weights": 4}}"#, #""ingredients""#,
    ])
  func passesOverWhatTheDatabaseWouldRefuse(line: String) { #expect(StateLine.parse(line) == nil) }

  @Test func readsTheFileOfACheckpoint() {
    let text = #"{"version": 1, "step": 12, "ranks": {"0": {"weights": "ab"}, "1": {"weights": "cd"}}}"#
    let report = IngredientReport(ranks: [0: ["weights": "ab"], 1: ["weights": "cd"]])
    #expect(StateFile.parse(Array(text.utf8)) == report)
    #expect(StateFile.parse(Array("{}".utf8)) == nil && StateFile.parse([]) == nil)
  }
}
