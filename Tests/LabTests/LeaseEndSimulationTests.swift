import Domain
import Lab
import Testing

@Suite struct LeaseEndSimulationTests {
  @Test func ofAThousandLeaseEndsAtMostOneLosesItsLastCheckpoint() {
    var simulation = LeaseEndSimulation(seed: 1)
    let endings = (0..<1000).map { _ in simulation.run() }
    #expect(endings.count { $0.spare > .zero } >= 999)
    #expect(endings.reduce(0) { $0 + $1.uploadsLate } == 0)
    // Time that is not trained in is paid for, too.
    let unused = endings.map(\.spare).sorted()[500]
    #expect(unused < .seconds(15), "median seconds left unused: \(unused.seconds)")
  }
}
