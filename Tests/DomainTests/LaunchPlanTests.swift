import Domain
import Foundation
import Testing

@Suite struct LaunchPlanTests {
  private let two = Rendezvous(
    attempt: AttemptID(7), nodeAddresses: ["10.0.0.1", "10.0.0.2"], masterPort: 4000,
    rankPorts: [5000, 5001, 6000, 6001])

  private func launches(
    _ spec: LauncherSpec, node: Int = 1, gpus: [Int] = [], cores: Int = 8
  ) throws -> [RankLaunch] {
    var gang = two
    gang.rankPorts = Array(two.rankPorts.prefix(2 * spec.processesPerNode))
    return try spec.launches(on: NodeShare(nodeRank: node, gpus: gpus, cores: cores), gang)
  }

  @Test(arguments: LauncherSpec.Kind.allCases)
  func numbersRanksNodeByNodeWhateverTheKind(kind: LauncherSpec.Kind) throws {
    let spec = LauncherSpec(kind: kind, processesPerNode: 2)
    let all = try launches(spec, node: 0) + launches(spec, node: 1)
    #expect(all.map(\.rank) == [0, 1, 2, 3])
    #expect(all.map(\.localRank) == [0, 1, 0, 1])
    #expect(all.map { $0.variables["RANK"] } == ["0", "1", "2", "3"])
    #expect(all.map { $0.variables["LOCAL_RANK"] } == ["0", "1", "0", "1"])
    #expect(all.map { $0.variables["NODE_RANK"] } == ["0", "0", "1", "1"])
    for one in all {
      #expect(one.variables["WORLD_SIZE"] == "4")
      #expect(one.variables["LOCAL_WORLD_SIZE"] == "2")
      #expect(one.variables["MASTER_ADDR"] == "10.0.0.1")
      #expect(one.variables["MASTER_PORT"] == "4000")
    }
  }

  @Test func plainTellsNothingElse() throws {
    let one = try #require(try launches(LauncherSpec()).first)
    #expect(
      Set(one.variables.keys) == [
        "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT",
        "CUDA_VISIBLE_DEVICES",
      ])
    #expect(one.defaults == ["OMP_NUM_THREADS": "8"])
  }

  @Test func torchrunTellsWhatItsOwnAgentTells() throws {
    let one = try #require(try launches(LauncherSpec(kind: .torchrun, processesPerNode: 2), gpus: [0, 1]).last)
    let expected = [
      "GROUP_RANK": "1", "GROUP_WORLD_SIZE": "2", "ROLE_NAME": "default", "ROLE_RANK": "3", "ROLE_WORLD_SIZE": "4",
      "TORCHELASTIC_RUN_ID": "attempt-7", "TORCHELASTIC_RESTART_COUNT": "0", "TORCHELASTIC_MAX_RESTARTS": "0",
      "TORCHELASTIC_USE_AGENT_STORE": "False", "CUDA_VISIBLE_DEVICES": "0,1",
    ]
    for (name, value) in expected { #expect(one.variables[name] == value, "\(name)") }
  }

  /// Else the last bits would depend on how many processors a node happens to have.
  @Test func torchrunGivesEachOfSeveralRanksOneThread() throws {
    for (ranks, threads) in [(1, "8"), (2, "1"), (4, "1")] {
      let one = try #require(try launches(LauncherSpec(kind: .torchrun, processesPerNode: ranks)).first)
      #expect(one.defaults["OMP_NUM_THREADS"] == threads)
      #expect(one.variables["OMP_NUM_THREADS"] == nil, "the user's own counts")
    }
    #expect(try launches(LauncherSpec(processesPerNode: 2)).first?.defaults["OMP_NUM_THREADS"] == "4")
    #expect(try launches(LauncherSpec(processesPerNode: 2), cores: 1).first?.defaults["OMP_NUM_THREADS"] == "1")
  }

  private struct Configuration: Decodable, Equatable {
    struct Task: Decodable, Equatable {
      var type: String
      var index: Int
    }
    var cluster: [String: [String]]
    var task: Task
  }

  private func configuration(_ launch: RankLaunch?) throws -> Configuration {
    try JSONDecoder().decode(Configuration.self, from: Data(try #require(launch?.variables["TF_CONFIG"]).utf8))
  }

  @Test func tensorFlowHasAWorkerForEachRankAtAPortOfItsOwn() throws {
    let spec = LauncherSpec(kind: .tensorflow, processesPerNode: 2)
    let workers = ["10.0.0.1:5000", "10.0.0.1:5001", "10.0.0.2:6000", "10.0.0.2:6001"]
    let ranks = try launches(spec, node: 0) + launches(spec, node: 1)
    for one in ranks {
      let found = try configuration(one)
      #expect(found == Configuration(cluster: ["worker": workers], task: .init(type: "worker", index: one.rank)))
    }
  }

  @Test func addressesAreWrittenAsURLsAndJSONHaveThem() throws {
    let odd = Rendezvous(
      attempt: AttemptID(7), nodeAddresses: ["fe80::1", "a\"b\\\u{1}"], masterPort: 1, rankPorts: [2, 3])
    let share = NodeShare(nodeRank: 0, gpus: [], cores: 1)
    let worker = try LauncherSpec(kind: .tensorflow).launches(on: share, odd).first
    #expect(try configuration(worker).cluster["worker"] == ["[fe80::1]:2", "a\"b\\\u{1}:3"])
    let process = try LauncherSpec(kind: .jax).launches(on: share, odd).first
    #expect(process?.variables["JAX_COORDINATOR_ADDRESS"] == "[fe80::1]:1")
  }

  @Test func tensorFlowDoesNotStartWithoutAPortForEachRank() {
    let share = NodeShare(nodeRank: 0, gpus: [], cores: 1)
    let few = Rendezvous(attempt: AttemptID(7), nodeAddresses: ["a", "b"], masterPort: 1, rankPorts: [2])
    #expect(throws: LaunchProblem.missingPorts(told: 1, needed: 2)) {
      try LauncherSpec(kind: .tensorflow).launches(on: share, few)
    }
  }

  @Test func jaxKnowsItsCoordinatorAndItsPlace() throws {
    let one = try #require(try launches(LauncherSpec(kind: .jax, processesPerNode: 2)).first)
    #expect(one.variables["JAX_COORDINATOR_ADDRESS"] == "10.0.0.1:4000")
    #expect(one.variables["JAX_NUM_PROCESSES"] == "4")
    #expect(one.variables["JAX_PROCESS_ID"] == "2")
  }

  @Test func mxnetHasAWorkerForEachRank() throws {
    let one = try #require(try launches(LauncherSpec(kind: .mxnet, processesPerNode: 2)).last)
    let expected = [
      "DMLC_ROLE": "worker", "DMLC_PS_ROOT_URI": "10.0.0.1", "DMLC_PS_ROOT_PORT": "4000", "DMLC_NUM_WORKER": "4",
      "DMLC_NUM_SERVER": "2", "DMLC_NODE_HOST": "10.0.0.2", "RANK": "3",
    ]
    for (name, value) in expected { #expect(one.variables[name] == value, "\(name)") }
  }

  @Test func mxnetHasASchedulerAndServersBesideTheRanks() throws {
    let helpers = { (spec: LauncherSpec, node: Int) in
      try spec.helpers(on: NodeShare(nodeRank: node, gpus: [0], cores: 8), two)
    }
    let spec = LauncherSpec(kind: .mxnet)
    #expect(try helpers(spec, 0).map(\.name) == ["scheduler", "server-0"])
    #expect(try helpers(spec, 1).map(\.name) == ["server-1"])
    #expect(
      try helpers(LauncherSpec(kind: .mxnet, servers: 3), 0).map(\.name) == ["scheduler", "server-0", "server-2"])
    #expect(try helpers(LauncherSpec(kind: .mxnet, servers: 1), 1).isEmpty)
    #expect(try helpers(spec, 0).map { $0.variables["DMLC_ROLE"] } == ["scheduler", "server"])
    for one in try helpers(spec, 0) + helpers(spec, 1) {
      #expect(one.variables["CUDA_VISIBLE_DEVICES"] == "")
      #expect(one.variables["RANK"] == nil)
    }
    #expect(try helpers(spec, 1).first?.variables["DMLC_NODE_HOST"] == "10.0.0.2")
    for kind in LauncherSpec.Kind.allCases where ![.mxnet, .mpi].contains(kind) {
      #expect(try helpers(LauncherSpec(kind: kind), 0).isEmpty, "\(kind)")
    }
  }

  private func seen(_ kind: LauncherSpec.Kind, _ ranks: Int, _ view: LauncherSpec.GPUView?, _ gpus: [Int]) throws
    -> [String?]
  {
    try launches(LauncherSpec(kind: kind, processesPerNode: ranks, gpus: view), gpus: gpus)
      .map { $0.variables["CUDA_VISIBLE_DEVICES"] }
  }

  @Test func aRankSeesAllGPUsOfItsNodeOrOnlyItsOwn() throws {
    #expect(try seen(.torchrun, 2, nil, [2, 3]) == ["2,3", "2,3"])
    #expect(try seen(.plain, 2, nil, [2, 3]) == ["2,3", "2,3"])
    #expect(try seen(.plain, 2, .own, [2, 3]) == ["2", "3"])
    #expect(try seen(.jax, 2, nil, [0, 1, 4, 5]) == ["0,1", "4,5"])
    #expect(try seen(.tensorflow, 2, nil, [0, 1]) == ["0", "1"])
    #expect(try seen(.tensorflow, 1, nil, [0, 1]) == ["0,1"])
    #expect(try seen(.jax, 2, .all, [7]) == ["7", "7"])
    #expect(try seen(.jax, 2, nil, []) == ["", ""], "a job without GPUs sees none, also where there are some")
  }

  @Test(arguments: [(1, 2), (3, 2), (4, 3)])
  func doesNotShareGPUsUnevenly(gpus: Int, ranks: Int) {
    #expect(throws: LaunchProblem.unevenGPUs(gpus: gpus, ranks: ranks)) {
      try launches(LauncherSpec(kind: .plain, processesPerNode: ranks, gpus: .own), gpus: Array(0..<gpus))
    }
  }

  @Test func readsWhatWasWrittenBeforeThereWereKinds() throws {
    let read = { (text: String) in try JSONDecoder().decode(LauncherSpec.self, from: Data(text.utf8)) }
    #expect(try read(#"{"kind": "plain", "processesPerNode": 2}"#) == LauncherSpec(processesPerNode: 2))
    let all = LauncherSpec(kind: .jax, processesPerNode: 3, gpus: .all)
    #expect(try JSONDecoder().decode(LauncherSpec.self, from: JSONEncoder().encode(all)) == all)
  }
}
