import Testing

@testable import ReferenceTrainer

/// Reading, splitting and ordering of images, and the stream of chance.
@Suite struct DataTests {
  @Test func theSplitHoldsAFifthOutAndIsTheSameForEveryone() throws {
    let data = try Digits.dataset(images: 103)
    #expect(data.heldOut.count == 20)
    #expect((data.training + data.heldOut).sorted() == Array(0..<103))
    let again = try Digits.dataset(images: 103)
    #expect(again.heldOut == data.heldOut)
    #expect(again.digest == data.digest)
    #expect(try Digits.dataset(images: 104).digest != data.digest)
  }

  @Test func trainingPixelsAreNormalised() throws {
    let data = try Digits.dataset(images: 50)
    let buffer = FloatBuffer(count: data.training.count * data.side * data.side)
    data.copy(data.training[...], into: buffer)
    let values = buffer.values.map(Double.init)
    let mean = values.reduce(0, +) / Double(values.count)
    let variance = values.reduce(0) { $0 + $1 * $1 } / Double(values.count) - mean * mean
    #expect(abs(mean) < 1e-5)
    #expect(abs(variance - 1) < 1e-4)
  }

  @Test func shiftsMoveImagesByTheSamePixelsEveryTime() throws {
    let data = try Digits.dataset(images: 50)
    let shifts = Shifts(seed: 4, epoch: 1, pixelsMax: 2)
    let moves = (0..<50).map { shifts.of($0) }
    #expect(Set(moves.map(\.right)) == Set(-2...2) && Set(moves.map(\.down)) == Set(-2...2))
    #expect((0..<50).contains { Shifts(seed: 4, epoch: 2, pixelsMax: 2).of($0) != moves[$0] })
    let (plain, moved) = (FloatBuffer(count: 64), FloatBuffer(count: 64))
    for (image, move) in moves.enumerated() {
      data.copy([image], into: plain)
      data.copy([image], into: moved, shifts: shifts)
      for row in 2..<6 {
        for column in 2..<6 {
          #expect(moved.values[(row + move.down) * 8 + column + move.right] == plain.values[row * 8 + column])
        }
      }
    }
  }

  @Test func shardsAreReadInTheOrderOfTheirNames() throws {
    try Scratch.with { folder in
      let lines = Digits.lines(images: 40)
      try Scratch.write(lines.joined(separator: "\n") + "\n", to: folder + "/one/all.csv")
      try Scratch.write(lines[..<7].joined(separator: "\r\n"), to: folder + "/many/a.csv")
      try Scratch.write(lines[7...].joined(separator: "\n"), to: folder + "/many/b.csv")
      try Scratch.write("not data", to: folder + "/many/README.txt")
      let whole = try Dataset.load(folder: folder + "/one")
      #expect(try Dataset.load(folder: folder + "/many").digest == whole.digest)
    }
  }

  @Test func oneFolderBelowIsFound() throws {
    try Scratch.with { folder in
      try Scratch.write(Digits.lines(images: 40).joined(separator: "\n"), to: folder + "/digits/all.csv")
      #expect(try Dataset.load(folder: folder).training.count == 32)
    }
  }

  @Test func aFolderWithoutDataIsRefusedWithAdvice() throws {
    try Scratch.with { folder in
      #expect(Digits.failure(folder)?.code == .noInput)
      #expect(Digits.failure(folder + "/absent")?.code == .noInput)
      try Scratch.write("", to: folder + "/mnist_5k.csv.gz")
      #expect(Digits.failure(folder)?.advice.contains("gunzip") == true)
    }
  }

  @Test(arguments: [
    ("1,2,x\n", "line 1"), ("1,2,3\n1,2\n", "line 2"), ("1,256,3\n", "above 255"), ("1,,3\n", "missing"),
    ("1,2,\n", "comma"), ("1,2,12\n", "label 12"), ("1,99999999999999999999,3\n", "above 255"),
  ])
  func aBrokenLineIsNamed(text: String, expected: String) {
    var reader = PixelReader()
    #expect {
      try reader.read(Array(text.utf8), name: "f.csv")
    } throws: { error in
      (error as? TrainerError)?.code == .badInput && "\(error)".contains(expected)
    }
  }

  @Test(arguments: [(10, 3), (12, 4), (7, 7), (5, 8), (1, 1)])
  func anEpochHandsOutEveryImageOnce(count: Int, batch: Int) {
    var sampler = Sampler(.init(seed: 5, epoch: 0, position: 0), count: count, batch: batch)
    var orders: [[Int]] = []
    for epoch in 0..<3 {
      var seen: [Int] = []
      for _ in 0..<sampler.stepsPerEpoch {
        #expect(sampler.state.epoch == epoch)
        seen += sampler.next()
      }
      #expect(seen.sorted() == Array(0..<count))
      orders.append(seen)
    }
    #expect(sampler.state.position == 0)
    if count > 5 { #expect(orders[0] != orders[1]) }
  }

  @Test func aSamplerGoesOnInTheMiddleOfAnEpoch() {
    var whole = Sampler(.init(seed: 9, epoch: 0, position: 0), count: 23, batch: 4)
    for _ in 0..<9 { _ = whole.next() }
    var resumed = Sampler(whole.state, count: 23, batch: 4)
    for _ in 0..<12 { #expect(Array(resumed.next()) == Array(whole.next())) }
  }

  @Test(arguments: 1...5, [0, 1, 4, 63, 64])
  func sharesCoverABatchOnce(worldSize: Int, count: Int) {
    let batch = Array(100..<100 + count)[...]
    let shares = (0..<worldSize).map { Sampler.share(of: batch, rank: $0, worldSize: worldSize) }
    #expect(shares.flatMap { $0 } == Array(batch))
    let sizes = shares.map(\.count)
    #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
  }

  @Test func splitMixGivesThePublishedNumbers() {
    var generator = SplitMix64(seed: 1_234_567)
    let numbers = (0..<3).map { _ in generator.next() }
    #expect(numbers == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423])
  }

  @Test func startingWeightsStayInHesBounds() {
    let shape = NetworkShape(side: 28, firstChannels: 4, secondChannels: 8, hidden: 16, classes: 10)
    let values = shape.initialParameters(seed: 3)
    #expect(values.count == shape.parameterCount)
    #expect(values == shape.initialParameters(seed: 3))
    #expect(values != shape.initialParameters(seed: 4))
    for part in shape.parameters {
      let limit = part.fanIn == 0 ? 0 : (6 / Float(part.fanIn)).squareRoot()
      #expect(values[part.offset..<part.offset + part.count].allSatisfy { abs($0) <= limit })
    }
  }
}
