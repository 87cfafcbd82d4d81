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
