import Foundation
import Testing

@testable import Commands

@Suite struct PlotTests {
  private let falling = (0...100).map { Plot.Point(x: Double($0), y: 2.5 - Double($0) * 0.02) }

  @Test func drawsACurveWithAxesLabelsAndBoundaries() {
    let plot = Plot(
      title: "loss", xLabel: "step", points: falling, boundaries: [.init(x: 50, label: "lease first -> second")])
    let lines = plot.rendered(width: 40, height: 4).split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 1 + 4 + 2 + 1)
    #expect(lines[0] == "loss")
    #expect(lines[1].hasPrefix("2.50 │⠉"))
    #expect(lines[4].hasPrefix("0.50 │"))
    #expect(lines[5].hasPrefix("     └───"))
    #expect(lines[5].count == 40)
    #expect(lines[5].filter { $0 == "┴" }.count == 1)
    #expect(lines[6].hasPrefix("      0 "))
    #expect(lines[6].hasSuffix(" 100"))
    #expect(lines[6].contains(" step "))
    #expect(lines[6].count == 40)
    #expect(lines[7] == "┊ step 50: lease first -> second")
    #expect(lines[1...4].contains { $0.contains("┊") })
    #expect(lines.allSatisfy { $0.count <= 40 })
  }

  @Test func boundaryStandsUnderItsPoint() {
    let plot = Plot(
      title: "t", xLabel: "x", points: falling, boundaries: [.init(x: 0, label: "a"), .init(x: 100, label: "b")])
    let axis = plot.rendered(width: 40, height: 3).split(separator: "\n")[4]
    #expect(axis == "     └┴" + String(repeating: "─", count: 32) + "┴")
  }

  @Test func showsTheWholeSpanOfPointsThatShareAColumn() {
    let points = (0..<10_000).map { Plot.Point(x: Double($0), y: $0 % 2 == 0 ? 0 : 1) }
    let lines = Plot(title: "t", xLabel: "x", points: points).rendered(width: 34, height: 3).split(separator: "\n")
    for row in 1...3 { #expect(lines[row].suffix(31).allSatisfy { $0 == "⣿" }, "row \(row)") }
  }

  @Test(arguments: [
    [], [Plot.Point(x: .nan, y: 1)], [Plot.Point(x: 1, y: .infinity)],
  ]) func saysThatThereIsNothingToDraw(_ points: [Plot.Point]) {
    #expect(Plot(title: "loss", xLabel: "step", points: points).rendered(width: 40, height: 4) == "loss: no values yet")
  }

  @Test(arguments: [0.0, -3.25, 1e12, 1e-9]) func drawsASinglePointAndConstantSeries(_ value: Double) {
    let points = [Plot.Point(x: 1, y: value), Plot.Point(x: 1, y: value)]
    let lines = Plot(title: "t", xLabel: "x", points: points).rendered(width: 0, height: 0).split(separator: "\n")
    #expect(lines.count == 6)
    #expect(lines.allSatisfy { $0.count <= 30 })
  }

  @Test(arguments: [
    (0.0, 1.0, "0"), (12, 1, "12"), (0.25, 1, "0.25"), (0.25, 0.01, "0.2500"), (1234.5, 500, "1235"),
    (2_500_000.5, 1, "2.50e6"), (0.000012, 1, "1.20e-5"), (-0.5, 1, "-0.50"), (99.96, 20, "100.0"),
  ]) func writesNumbersShort(_ value: Double, _ step: Double, _ text: String) {
    #expect(Plot.number(value, step: step) == text)
  }

  @Test func roundsToPlaces() {
    #expect(Plot.fixed(0.98765, 4) == "0.9877")
    #expect(Plot.fixed(-0.004, 2) == "0.00")
    #expect(Plot.fixed(12, 0) == "12")
    #expect(Plot.fixed(0.05, 3) == "0.050")
  }

  @Test func drawsWhatSpansManyOrdersByItsLogarithm() {
    let falling = (0..<100).map { Plot.Point(x: Double($0), y: 20 * exp(-0.07 * Double($0))) }
    let lines = Plot(title: "loss", xLabel: "step", points: falling).rendered(width: 60, height: 10).split(
      separator: "\n")
    #expect(lines.first == "loss, logarithmic")
    // An exponential is a straight line: every row of the plot has some of it.
    #expect(lines[1...10].allSatisfy { $0.unicodeScalars.contains { (0x2801...0x28FF).contains($0.value) } })
  }

  @Test func drawsWhatReachesZeroAsItIs() {
    let points = [Plot.Point(x: 0, y: 0), Plot.Point(x: 1, y: 1000)]
    #expect(Plot(title: "t", xLabel: "x", points: points).rendered(width: 40, height: 4).hasPrefix("t\n"))
  }
}
