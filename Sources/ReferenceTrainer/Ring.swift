/// The ranks in a circle, each connected to the next, adding up vectors together.
///
/// The order of the additions depends on the number of ranks only: the same world size gives the same bits.
/// Used from one thread.
final class Ring {
  let rank: Int
  let worldSize: Int
  private let next: Socket?
  private let previous: Socket?
  private let silenceSeconds: Int
  private var incoming = FloatBuffer(count: 1)

  /// A ring of one: sums are what they are.
  static func alone() -> Ring {
    Ring(rank: 0, worldSize: 1, next: nil, previous: nil, silenceSeconds: 0)
  }

  /// Takes connected sockets over.
  ///
  /// - Parameter silenceSeconds: how long the neighbours may be silent in the middle of a sum.
  init(rank: Int, worldSize: Int, next: Socket?, previous: Socket?, silenceSeconds: Int) {
    self.rank = rank
    self.worldSize = worldSize
    self.next = next
    self.previous = previous
    self.silenceSeconds = silenceSeconds
  }

  /// Replaces `values` on every rank by the sum over all ranks; all ranks get the same bits.
  ///
  /// Reduce-scatter, then all-gather: part `p` is summed as `((x[p] + x[p+1]) + x[p+2]) + ...` around the ring,
  /// each rank sends and receives `2 (W - 1) / W` of the vector. It doubles as a barrier.
  ///
  /// - Precondition: every rank calls it with the same number of values.
  /// - Throws: `.peerLost`, after which `values` is undefined and the ring of no use.
  func sum(_ values: FloatBuffer) throws(TrainerError) {
    guard worldSize > 1 else { return }
    let longest = (values.count + worldSize - 1) / worldSize
    if incoming.count < longest { incoming = FloatBuffer(count: longest) }
    for step in 0..<worldSize - 1 {
      let own = part(rank - step, of: values)
      let other = part(rank - step - 1, of: values)
      try exchange(sending: own, receiving: UnsafeMutableBufferPointer(start: incoming.base, count: other.count))
      for index in 0..<other.count { other[index] = incoming.base[index] + other[index] }
    }
    for step in 0..<worldSize - 1 {
      try exchange(sending: part(rank + 1 - step, of: values), receiving: part(rank - step, of: values))
    }
  }

  /// Sums a few values.
  func sum(_ values: [Float]) throws(TrainerError) -> [Float] {
    let buffer = FloatBuffer(count: values.count)
    buffer.assign(values)
    try sum(buffer)
    return buffer.values
  }

  /// One of `worldSize` parts that together are `values`; may be empty.
  private func part(_ index: Int, of values: FloatBuffer) -> UnsafeMutableBufferPointer<Float> {
    let wrapped = (index % worldSize + worldSize) % worldSize
    let start = values.count * wrapped / worldSize
    let end = values.count * (wrapped + 1) / worldSize
    return UnsafeMutableBufferPointer(start: values.base + start, count: end - start)
  }

  /// Sends to the next rank and receives from the previous one at the same time, so that no one waits in a circle.
  private func exchange(
    sending: UnsafeMutableBufferPointer<Float>, receiving: UnsafeMutableBufferPointer<Float>
  ) throws(TrainerError) {
    guard let next, let previous else { return }
    var outgoing = UnsafeRawBufferPointer(sending)
    var wanted = UnsafeMutableRawBufferPointer(receiving)
    var deadline: ContinuousClock.Instant = .now + .seconds(silenceSeconds)
    while !outgoing.isEmpty || !wanted.isEmpty {
      var progress = 0
      if !outgoing.isEmpty {
        let sent: Int
        do {
          sent = try next.send(outgoing)
        } catch {
          throw lost((rank + 1) % worldSize, error.description)
        }
        outgoing = UnsafeRawBufferPointer(rebasing: outgoing[sent...])
        progress += sent
      }
      if !wanted.isEmpty {
        let got: Int
        do {
          got = try previous.receive(wanted)
        } catch {
          throw lost((rank + worldSize - 1) % worldSize, error.description)
        }
        wanted = UnsafeMutableRawBufferPointer(rebasing: wanted[got...])
        progress += got
      }
      if progress > 0 {
        deadline = .now + .seconds(silenceSeconds)
        continue
      }
      var sockets: [Readiness] = []
      if !outgoing.isEmpty { sockets.append(Readiness(descriptor: next.descriptor, wantsToWrite: true)) }
      if !wanted.isEmpty { sockets.append(Readiness(descriptor: previous.descriptor, wantsToRead: true)) }
      if !wait(for: &sockets, until: deadline), ContinuousClock.now >= deadline {
        let silent = wanted.isEmpty ? (rank + 1) % worldSize : (rank + worldSize - 1) % worldSize
        throw lost(silent, "silent for \(silenceSeconds) s")
      }
    }
  }

  private func lost(_ peer: Int, _ reason: String) -> TrainerError {
    TrainerError(
      .peerLost, "rank \(rank) lost rank \(peer) in the middle of a step: \(reason)",
      advice: "Nothing after the last checkpoint is kept; start again from there.")
  }
}
