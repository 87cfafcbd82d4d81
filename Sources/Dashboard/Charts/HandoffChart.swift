import Domain
import Wire

/// Handoffs of a run, one below the other: a bar of what each was spent on, on one scale, and the same in words.
///
/// The time without a lease is in the words only: beside a night the seconds that somebody can do something about would
/// not be seen.
struct HandoffChart {
  /// A stretch of a bar, as shares of the width.
  struct Stretch: Hashable {
    var from: Double
    var to: Double
    var step: Handoff.Step
    var title: String
  }

  /// A bar, and what stands beside it.
  struct Row: Hashable {
    var name: String
    var text: String
    var stretches: [Stretch]
  }

  let rows: [Row]

  private static let height = 16.0

  /// Nil where there is none.
  init?(_ handoffs: [Handoff]) {
    guard let longest = handoffs.map(\.besideGap).max() else { return nil }
    let scale = max(longest.seconds, 0.001)
    rows = handoffs.map { handoff in
      var stretches: [Stretch] = []
      var x = 0.0
      for part in handoff.parts where part.step != .gap && part.length > .zero {
        let end = x + part.length.seconds / scale
        stretches.append(
          Stretch(from: x, to: end, step: part.step, title: "\(part.step.title) \(part.length)"))
        x = end
      }
      return Row(
        name: "attempt \(handoff.from) to \(handoff.to)", text: "\(handoff)", stretches: stretches)
    }
  }

  /// The chart as HTML.
  var html: String {
    var page = Markup()
    for row in rows {
      page.element("div", ["class": "handoff"]) { handoff in
        handoff.element("span") { $0.write(row.name) }
        handoff.element(
          "svg",
          [
            "width": "100%", "height": coordinate(Self.height), "role": "img", "aria-label": "\(row.name): \(row.text)",
          ]
        ) { bar in
          bar.element("rect", ["class": "handoff-room", "width": "100%", "height": "100%", "rx": "3"])
          for stretch in row.stretches {
            bar.element(
              "rect",
              [
                "class": "step-\(stretch.step.rawValue)", "x": percent(stretch.from),
                "width": percent(stretch.to - stretch.from), "height": "100%",
              ]
            ) { rect in
              rect.element("title") { $0.write(stretch.title) }
            }
          }
        }
        handoff.element("small") { $0.write(row.text) }
      }
    }
    let steps = Handoff.Step.allCases.filter { step in rows.contains { $0.stretches.contains { $0.step == step } } }
    page.element("ul", ["class": "legend handoffs-legend"]) { legend in
      for step in steps {
        legend.element("li") { item in
          item.element("svg", ["width": "12", "height": "12"]) {
            $0.element("rect", ["class": "step-\(step.rawValue)", "width": "12", "height": "12", "rx": "3"])
          }
          item.write(step.title)
        }
      }
    }
    return page.text
  }
}
