import Domain
import JobFile
import Testing

@Suite struct ElasticTests {
  private func spec(_ lines: String) throws -> JobSpec {
    try parseJobFile("name: a\nrun: python train.py\n" + lines, fileName: "job.yaml")
  }

  @Test func readsARangeOfNodesAndTheBatchRule() throws {
    let elastic = try spec("resources: {nodes: 2-8}\nbatch: {keep: global, size: 512}")
    #expect(elastic.resources.nodesRange == 2...8 && elastic.resources.isElastic)
    #expect(elastic.batch == BatchRule(keep: .global, size: 512))
    let local = try spec(
      "resources: {nodes: \"1-4\"}\nbatch: {keep: local, size: 1}\nlauncher: {processes_per_node: 2}")
    #expect(local.resources.nodesRange == 1...4 && local.batch == BatchRule(keep: .local, size: 1))
    for fixed in ["resources: {nodes: 3}", "resources: {nodes: 3-3}"] {
      let spec = try spec(fixed)
      #expect(spec.resources.nodesRange == 3...3 && spec.resources.nodesMost == nil && !spec.resources.isElastic)
    }
    #expect(try spec("batch: {keep: local, size: 8}").batch == BatchRule(keep: .local, size: 8))
  }

  @Test(
    arguments: [
      ("resources: {nodes: 2-8}", "on 2 to 8 nodes, say what becomes of the batch: batch: {keep: global, size: N}"),
      ("resources: {nodes: 8-2}\nbatch: {keep: local, size: 1}", "the fewest and the most as in 2-8, from 1 to 4096"),
      ("resources: {nodes: 0-2}\nbatch: {keep: local, size: 1}", "found '0-2'"),
      ("resources: {nodes: 2-}\nbatch: {keep: local, size: 1}", "found '2-'"),
      ("resources: {nodes: 1-2-3}\nbatch: {keep: local, size: 1}", "found '1-2-3'"),
      ("resources: {nodes: -2}", "a whole number from 1 to 4096"),
      ("batch: {keep: globl, size: 4}", "did you mean 'global'?"),
      ("batch: {size: 4}", "'keep' is missing: global keeps the batch of all ranks"),
      ("batch: {keep: local}", "'size' is missing"),
      ("batch: {keep: local, size: 0}", "batch.size: expected a whole number from 1"),
      ("batch: 4", "batch: expected keys with values"),
      (
        "resources: {nodes: 2-8}\nbatch: {keep: global, size: 4}",
        "batch.size: 4 samples are less than one for each of 8 ranks"
      ),
    ])
  func saysWhatIsWrong(lines: String, words: String) {
    let found = complaintsAbout(lines)
    #expect(found.count == 1, "\(found)")
    #expect(found.first?.contains(words) == true, "\(found)")
  }
}
