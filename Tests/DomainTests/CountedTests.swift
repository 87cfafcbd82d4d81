import Domain
import Testing

@Suite struct CountedTests {
  @Test(arguments: [(0, "0 nodes", "0 are"), (1, "1 node", "1 is"), (2, "2 nodes", "2 are")])
  func agreesWithItsNumber(_ number: Int, _ nodes: String, _ verb: String) {
    #expect(counted(number, "node") == nodes)
    #expect(countedBeing(number) == verb)
    #expect(counted(number, "process", plural: "processes") == (number == 1 ? "1 process" : "\(number) processes"))
  }

  @Test func refusalsSpeakOfOneAsOfOne() {
    #expect(Refusal.nodesBusy(wanted: 2, free: 1).description == "the job wants 2 nodes, 1 is free now")
    #expect(Refusal.nodesBusy(wanted: 1, free: 0).description == "the job wants 1 node, 0 are free now")
    #expect(Refusal.tooManyNodes(wanted: 2, most: 1).description.hasSuffix("the largest lease has 1 that fits it"))
    #expect(Refusal.tooFewGPUs(wanted: 1, most: 0).description.hasPrefix("the job wants 1 GPU a node"))
  }
}
