/// A point of a curve.
struct CurvePoint: Hashable {
  var step: Int
  var value: Double
}

/// At most `most` (4 or more) of `points`, in order.
///
/// Both ends, and of every stretch its lowest and its highest point, so that no spike is lost, however many points
/// there are. Every value is finite.
func downsampled(_ points: [CurvePoint], most: Int) -> [CurvePoint] {
  guard points.count > most, most >= 4 else { return points }
  let stretches = (most - 2) / 2
  let inner = points.count - 2
  var kept = [points[0]]
  for stretch in 0..<stretches {
    let from = 1 + inner * stretch / stretches
    let to = 1 + inner * (stretch + 1) / stretches
    guard from < to else { continue }
    var lowest = from
    var highest = from
    for place in from..<to {
      if points[place].value < points[lowest].value { lowest = place }
      if points[place].value > points[highest].value { highest = place }
    }
    kept.append(points[min(lowest, highest)])
    if lowest != highest { kept.append(points[max(lowest, highest)]) }
  }
  kept.append(points[points.count - 1])
  return kept
}
