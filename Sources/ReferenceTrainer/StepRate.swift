/// How fast steps are, for the line that a person reads now and then.
struct StepRate {
  static let stepsBetweenLines = 50
  private var step: Int
  private var time: Double
  /// Images of the steps since the last line.
  var images = 0

  init(step: Int, time: Double) {
    self.step = step
    self.time = time
  }

  /// The line for `step`; the next one counts from there.
  ///
  /// - Parameter whose: whose images are counted, where not everybody's are.
  mutating func line(step: Int, epoch: Int, loss: Double, now: Double, of whose: String? = nil) -> String {
    let seconds = max(now - time, 1e-9)
    let rate = Int(Double(images) / seconds)
    let milliseconds = (seconds / Double(max(1, step - self.step)) * 10_000).rounded() / 10
    self = StepRate(step: step, time: now)
    return "step \(step)  epoch \(epoch)  loss \(Float(loss))  \(rate) images/s\(whose.map { " of \($0)" } ?? "")  "
      + "\(milliseconds) ms/step"
  }
}
