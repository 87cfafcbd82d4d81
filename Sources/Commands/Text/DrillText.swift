import Domain
import Wire

/// Drills for people.
enum DrillText {
  /// One check, as it is made.
  static func line(_ check: DrillCheck) -> String {
    Printable.line("\(check.subject): \(check.name) \(check.passed ? "ok" : "FAILED"): \(check.detail)")
  }

  /// All checks, the verdict, and what to do next.
  static func report(
    _ report: DrillReport, width: Int? = nil, paint: (String, Ink?) -> String = { text, _ in text }
  ) -> String {
    var table = Table([
      .init("OF", shrinks: true), .init("CHECK"), .init(""), .init("TOOK", isRight: true),
      .init("ALLOWED", isRight: true, drops: 0), .init("FOUND", wraps: true),
    ])
    for check in report.checks {
      table.add([
        .init(check.subject), .init(check.name), .init(check.passed ? "ok" : "FAILED", check.passed ? .green : .red),
        .init(check.took.map { "\($0)" } ?? "-"), .init(check.allowed.map { "\($0)" } ?? "-"), .init(check.detail),
      ])
    }
    let failed = report.checks.filter { !$0.passed }
    let what = "the end of \(Printable.line(report.leaseName)) (\(report.lease)) was played in \(report.took)"
    let verdict =
      failed.isEmpty
      ? paint("passed", .green) + ": " + what
      : paint("failed", .red) + ": \(what), \(counted(failed.count, "check")) of \(report.checks.count) failed"
    let advice = failed.compactMap { check in
      check.next.map {
        Prose.wrapped("next, for \(check.name) of \(check.subject): \(Printable.line($0))", width: width)
      }
    }
    return ([table.rendered(width: width, paint: paint), "", verdict] + advice).joined(separator: "\n")
  }
}
