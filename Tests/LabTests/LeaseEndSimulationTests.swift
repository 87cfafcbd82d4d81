import Domain
import Lab
import Testing

@Suite struct LeaseEndSimulationTests {
  /// Without outliers; one upload in fifty, or in ten, takes twice as long as jitter explains.
  @Test(arguments: [0, 50, 10]) func ofAThousandLeaseEndsAtMostOneLosesItsLastCheckpoint(oneIn: Int) {
    for seed in UInt64(1)...5 {
      var simulation = LeaseEndSimulation(seed: seed, tail: .init(oneIn: oneIn, factor: 2))
      let endings = (0..<1000).map { _ in simulation.run() }
      #expect(endings.count { $0.spare > .zero } >= 999, "seed \(seed)")
      #expect(endings.reduce(0) { $0 + $1.uploadsLate } == 0)
      // Time that is not trained in is paid for, too.
      let unused = endings.map(\.spare).sorted()[500]
      #expect(unused < .seconds(60), "median seconds left unused: \(unused.seconds)")
    }
  }
}
