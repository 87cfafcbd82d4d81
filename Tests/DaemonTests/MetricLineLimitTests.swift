import Domain
import Store
import Testing

@testable import Daemon

@Suite struct MetricLineLimitTests {
  @Test(arguments: [
    "", "{", "[]", #"{"step": -1, "metric": "loss", "value": 1}"#, #"{"step": 1, "metric": "", "value": 1}"#,
    #"{"step": 1, "metric": "a\u0000b", "value": 1}"#, #"{"step": 1, "metric": "loss", "value": 1e999}"#,
    #"{"step": 1e30, "metric": "loss", "value": 1}"#,
  ])
  func passesOverWhatTheDatabaseWouldRefuse(line: String) {
    #expect(MetricLine.parse(line) == nil)
  }

  @Test(arguments: [
    ("NaN", Double.nan), ("Infinity", .infinity), ("-Infinity", -.infinity), (#""NaN""#, .nan), ("-1.5e-3", -0.0015),
    ("12", 12),
  ]) func takesWhatPythonWritesForAValue(text: String, value: Double) {
    let point = MetricLine.parse(#"{"step": 3, "metric": "loss", "value": \#(text), "lr": null, "note": "a, b"}"#)
    #expect(point?.step == 3 && point?.value.bitPattern == value.bitPattern)
  }

  @Test(arguments: [
    #"{"metric":"a\"b","step":7,"value":0.5}"#, #"{"step":7.0,"metric":"a\u0022b","value":0.5,"tags":{"x":[1,{}]}}"#,
    #" { "value" : 0.5 , "step" : 7 , "metric" : "a\"b" } "#,
  ]) func readsWhateverJSONSaysTheSame(line: String) {
    let point = MetricLine.parse(line)
    #expect(point == MetricPoint(metric: "a\"b", step: 7, value: 0.5, recordedAt: Timestamp(microseconds: 0)))
  }

  @Test(arguments: [
    #"{"step":1,"metric":"loss","value":nan}"#, #"{"step":1,"metric":"loss","value":0x1p3}"#,
    #"{"step":1,"metric":"loss","value":1} x"#, #"{"step":1,"metric":"loss","value":1"#,
    #"{"step":1 "metric":"loss","value":1}"#, #"{"step":1,"metric":"loss"}"#,
  ]) func takesNothingElse(line: String) {
    #expect(MetricLine.parse(line) == nil)
  }

  @Test func passesOverANameThatNoIndexHolds() {
    let name = String(repeating: "n", count: MetricLine.nameLimit)
    #expect(MetricLine.parse(#"{"step": 1, "metric": "\#(name)", "value": 1}"#) != nil)
    #expect(MetricLine.parse(#"{"step": 1, "metric": "\#(name)n", "value": 1}"#) == nil)
  }

  @Test(arguments: ["-1e300", "1e300", "-1"]) func takesATimeThatCannotBeForNone(time: String) {
    let point = MetricLine.parse(#"{"step": 1, "metric": "loss", "value": 1, "time": \#(time)}"#)
    #expect(point?.recordedAt == Timestamp(microseconds: 0))
  }
}
