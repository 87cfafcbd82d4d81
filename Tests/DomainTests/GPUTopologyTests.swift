import Domain
import Testing

/// Written out as `nvidia-smi topo -m` of different drivers draws them.
enum Matrices {
  /// Two islands of four, each GPU with one way to the other island.
  static let dgx1 = """
    \tGPU0\tGPU1\tGPU2\tGPU3\tGPU4\tGPU5\tGPU6\tGPU7\tmlx5_0\tmlx5_1\tCPU Affinity
    GPU0\t X \tNV1\tNV1\tNV2\tNV2\tSYS\tSYS\tSYS\tPIX\tSYS\t0-19,40-59
    GPU1\tNV1\t X \tNV2\tNV1\tSYS\tNV2\tSYS\tSYS\tPIX\tSYS\t0-19,40-59
    GPU2\tNV1\tNV2\t X \tNV2\tSYS\tSYS\tNV1\tSYS\tPHB\tSYS\t0-19,40-59
    GPU3\tNV2\tNV1\tNV2\t X \tSYS\tSYS\tSYS\tNV1\tPHB\tSYS\t0-19,40-59
    GPU4\tNV2\tSYS\tSYS\tSYS\t X \tNV1\tNV1\tNV2\tSYS\tPIX\t20-39,60-79
    GPU5\tSYS\tNV2\tSYS\tSYS\tNV1\t X \tNV2\tNV1\tSYS\tPIX\t20-39,60-79
    GPU6\tSYS\tSYS\tNV1\tSYS\tNV1\tNV2\t X \tNV2\tSYS\tPHB\t20-39,60-79
    GPU7\tSYS\tSYS\tSYS\tNV1\tNV2\tNV1\tNV2\t X \tSYS\tPHB\t20-39,60-79
    mlx5_0\tPIX\tPIX\tPHB\tPHB\tSYS\tSYS\tSYS\tSYS\t X \tSYS
    mlx5_1\tSYS\tSYS\tSYS\tSYS\tPIX\tPIX\tPHB\tPHB\tSYS\t X

    Legend:

      X    = Self
      SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)
      NV#  = Connection traversing a bonded set of # NVLinks
    """

  /// Eight at one switch, so that only the processors tell them apart; the first line is underlined.
  static let a100 =
    "\t\u{1b}[4mGPU0\tGPU1\tGPU2\tGPU3\tGPU4\tGPU5\tGPU6\tGPU7\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\u{1b}[0m\n"
    + (0..<8).map { gpu in
      let links = (0..<8).map { $0 == gpu ? " X " : "NV12" }.joined(separator: "\t")
      return "GPU\(gpu)\t\(links)\t\(gpu % 2 == 0 ? "0-63,128-191\t0" : "64-127,192-255\t1")\t\tN/A"
    }.joined(separator: "\n")

  /// Four cards over two sockets, numbered across; the columns by spaces.
  static let twoSockets = """
            GPU0    GPU1    GPU2    GPU3    CPU Affinity    NUMA Affinity
    GPU0     X      SYS     PHB     SYS     0-15            0
    GPU1    SYS      X      SYS     NODE    16-31           1
    GPU2    PHB     SYS      X      SYS     0-15            0
    GPU3    SYS     NODE    SYS      X      16-31           1
    """

  /// Pairs behind one switch, two switches a socket.
  static let switches = """
    \tGPU0\tGPU1\tGPU2\tGPU3\tGPU4\tGPU5\tGPU6\tGPU7\tCPU Affinity
    GPU0\t X \tPIX\tPHB\tPHB\tSOC\tSOC\tSOC\tSOC\t0-9,20-29
    GPU1\tPIX\t X \tPHB\tPHB\tSOC\tSOC\tSOC\tSOC\t0-9,20-29
    GPU2\tPHB\tPHB\t X \tPIX\tSOC\tSOC\tSOC\tSOC\t0-9,20-29
    GPU3\tPHB\tPHB\tPIX\t X \tSOC\tSOC\tSOC\tSOC\t0-9,20-29
    GPU4\tSOC\tSOC\tSOC\tSOC\t X \tPIX\tPHB\tPHB\t10-19,30-39
    GPU5\tSOC\tSOC\tSOC\tSOC\tPIX\t X \tPHB\tPHB\t10-19,30-39
    GPU6\tSOC\tSOC\tSOC\tSOC\tPHB\tPHB\t X \tPIX\t10-19,30-39
    GPU7\tSOC\tSOC\tSOC\tSOC\tPHB\tPHB\tPIX\t X \t10-19,30-39
    """
}

@Suite struct GPUTopologyTests {
  private func order(_ matrix: String, _ gpus: [Int], _ ranks: Int) throws -> [[Int]] {
    let ordered = try #require(GPUTopology(matrix: matrix)).ordered(gpus, inParts: ranks)
    let each = gpus.count / ranks
    return (0..<ranks).map { Array(ordered[$0 * each..<($0 + 1) * each]) }
  }

  @Test func anIslandIsARanks() throws {
    let all = Array(0..<8)
    #expect(try order(Matrices.dgx1, all, 2) == [[0, 1, 2, 3], [4, 5, 6, 7]])
    // Pairs with two links, next to a pair that they have links to.
    #expect(try order(Matrices.dgx1, all, 4) == [[0, 3], [1, 2], [5, 6], [4, 7]])
    #expect(try order(Matrices.switches, all, 4) == [[0, 1], [2, 3], [4, 5], [6, 7]])
    #expect(try order(Matrices.switches, all, 2) == [[0, 1, 2, 3], [4, 5, 6, 7]])
    #expect(try order(Matrices.twoSockets, Array(0..<4), 2) == [[0, 2], [1, 3]])
  }

  /// Each step is one that has two links.
  @Test func neighboursGetNeighbours() throws {
    #expect(try order(Matrices.dgx1, Array(0..<8), 8).flatMap(\.self) == [0, 3, 2, 1, 5, 6, 7, 4])
    #expect(try order(Matrices.twoSockets, Array(0..<4), 4).flatMap(\.self) == [0, 2, 1, 3])
  }

  @Test func whereAllAreAsCloseTheProcessorsDecide() throws {
    #expect(try order(Matrices.a100, Array(0..<8), 2) == [[0, 2, 4, 6], [1, 3, 5, 7]])
    #expect(try order(Matrices.a100, [0, 1, 2, 3], 2) == [[0, 2], [1, 3]])
  }

  @Test func aJobThatHasSomeSharesThose() throws {
    #expect(try order(Matrices.dgx1, [1, 2, 5, 6], 2) == [[1, 2], [5, 6]])
    // Though 0 has two links to 4, and one to 1.
    #expect(try order(Matrices.dgx1, [0, 1, 4, 5], 2) == [[0, 1], [4, 5]])
    // Those of one switch are not torn apart for the others' sake.
    #expect(try order(Matrices.switches, [0, 2, 3, 5], 2) == [[0, 5], [2, 3]])
  }

  @Test func staysAsItIsWhereThereIsNoChoice() throws {
    let topology = try #require(GPUTopology(matrix: Matrices.dgx1))
    #expect(topology.ordered([3, 1, 2], inParts: 2) == [3, 1, 2])
    #expect(topology.ordered([3, 1], inParts: 1) == [3, 1])
    #expect(topology.ordered([], inParts: 2) == [])
    #expect(topology.ordered([1, 1], inParts: 2) == [1, 1])
    #expect(topology.ordered([8, 9], inParts: 2) == [8, 9], "of which nothing is known")
  }

  @Test(arguments: ["", "no devices were found", "\tGPU0\tCPU Affinity\nGPU0\t X \t0-3\n", "\tGPU0\tGPU1\nGPU0\t X \n"])
  func readsNothingWhereThereIsNothing(text: String) {
    #expect(GPUTopology(matrix: text) == nil)
  }

  @Test func sharesOfSixteenAreFoundToo() throws {
    let names = (0..<16).map { "GPU\($0)" }.joined(separator: "\t")
    let rows = (0..<16).map { gpu in
      "GPU\(gpu)\t" + (0..<16).map { $0 == gpu ? " X " : $0 % 4 == gpu % 4 ? "PIX" : "SYS" }.joined(separator: "\t")
    }
    let matrix = ([names] + rows).joined(separator: "\n")
    let expected = (0..<4).map { [$0, $0 + 4, $0 + 8, $0 + 12] }
    #expect(try order(matrix, Array(0..<16), 4) == expected)
  }

  @Test func launchersShareByIt() throws {
    let topology = GPUTopology(matrix: Matrices.twoSockets)
    let share = NodeShare(nodeRank: 0, gpus: [0, 1, 2, 3], cores: 8, topology: topology)
    let gang = Rendezvous(attempt: AttemptID(1), nodeAddresses: ["a"], masterPort: 1)
    let seen = { (view: LauncherSpec.GPUView) in
      try LauncherSpec(processesPerNode: 2, gpus: view).launches(on: share, gang)
        .map { $0.variables["CUDA_VISIBLE_DEVICES"] }
    }
    #expect(try seen(.own) == ["0,2", "1,3"])
    #expect(try seen(.all) == ["0,1,2,3", "0,1,2,3"])
    let one = try LauncherSpec(processesPerNode: 2).launches(on: share, gang).first
    #expect(one?.variables["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID")
  }
}
