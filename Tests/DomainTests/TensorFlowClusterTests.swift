import Domain
import Foundation
import Testing

/// ParameterServerStrategy: rank 0 is the chief, beside it runs worker 0.
@Suite struct TensorFlowClusterTests {
  private struct Configuration: Decodable, Equatable {
    struct Task: Decodable, Equatable {
      var type: String
      var index: Int
    }
    var cluster: [String: [String]]
    var task: Task
  }

  private let spec = LauncherSpec(
    kind: .tensorflow, processesPerNode: 2, servers: 3, strategy: .parameterServer, hasEvaluator: true)
  /// By node: its two ranks, then worker-0 and ps-0 and ps-2, or ps-1.
  private let two = Rendezvous(
    attempt: AttemptID(7), nodeAddresses: ["a", "b"], masterPort: 4000,
    rankPorts: [5000, 5001, 5002, 5003, 5004, 6000, 6001, 6002])

  private func share(_ node: Int, gpus: [Int] = []) -> NodeShare { NodeShare(nodeRank: node, gpus: gpus, cores: 8) }

  private func configuration(_ variables: [String: String]) throws -> Configuration {
    try JSONDecoder().decode(Configuration.self, from: Data(try #require(variables["TF_CONFIG"]).utf8))
  }

  @Test func asksForAPortForEachProcessThatListens() {
    #expect((0..<2).map { spec.listeners(onNode: $0, of: 2) } == [5, 3])
    #expect(spec.listeners(onNode: 0, of: 1) == 6)
    let mirrored = LauncherSpec(kind: .tensorflow, processesPerNode: 2)
    #expect((0..<2).map { mirrored.listeners(onNode: $0, of: 2) } == [2, 2])
    for kind in LauncherSpec.Kind.allCases where kind != .tensorflow {
      #expect(LauncherSpec(kind: kind, processesPerNode: 2).listeners(onNode: 0, of: 2) == 0, "\(kind)")
    }
  }

  @Test func everyProcessKnowsTheSameClusterAndItsOwnPlace() throws {
    let ranks = try spec.launches(on: share(0), two) + spec.launches(on: share(1), two)
    let helpers = try spec.helpers(on: share(0), two) + spec.helpers(on: share(1), two)
    #expect(helpers.map(\.name) == ["worker-0", "ps-0", "ps-2", "evaluator", "ps-1"])
    let found = try ranks.map { try configuration($0.variables) } + helpers.map { try configuration($0.variables) }
    let cluster = [
      "chief": ["a:5000"], "worker": ["a:5002", "a:5001", "b:6000", "b:6001"], "ps": ["a:5003", "b:6002", "a:5004"],
    ]
    #expect(found.allSatisfy { $0.cluster == cluster }, "\(found)")
    #expect(
      found.map { "\($0.task.type) \($0.task.index)" } == [
        "chief 0", "worker 1", "worker 2", "worker 3", "worker 0", "ps 0", "ps 2", "evaluator 0", "ps 1",
      ])
    #expect(ranks.map { $0.variables["RANK"] } == ["0", "1", "2", "3"])
    #expect(helpers.allSatisfy { $0.variables["RANK"] == nil })
  }

  @Test func aServerANodeWhereNobodySaysHowMany() throws {
    let usual = LauncherSpec(kind: .tensorflow, strategy: .parameterServer)
    let gang = Rendezvous(
      attempt: AttemptID(7), nodeAddresses: ["a", "b"], masterPort: 4000, rankPorts: [1, 2, 3, 4, 5])
    #expect(try usual.helpers(on: share(0), gang).map(\.name) == ["worker-0", "ps-0"])
    #expect(try usual.helpers(on: share(1), gang).map(\.name) == ["ps-1"])
  }

  /// The chief's share of the GPUs is worker 0's.
  @Test func onlyWorkersSeeGPUs() throws {
    let ranks = try spec.launches(on: share(0, gpus: [4, 5]), two)
    #expect(ranks.map { $0.variables["CUDA_VISIBLE_DEVICES"] } == ["", "5"])
    let helpers = try spec.helpers(on: share(0, gpus: [4, 5]), two)
    #expect(helpers.map { $0.variables["CUDA_VISIBLE_DEVICES"] } == ["4", "", "", ""])
    #expect(throws: LaunchProblem.unevenGPUs(gpus: 3, ranks: 2)) {
      try spec.helpers(on: share(0, gpus: [1, 2, 3]), two)
    }
  }

  @Test func onlyTheChiefDecidesAndTheEvaluatorMayFinish() throws {
    #expect(spec.chiefDecides)
    #expect((0..<4).map { spec.serves(rank: $0) } == [false, true, true, true])
    #expect(try spec.helpers(on: share(0), two).map(\.ending) == [.never, .never, .never, .whenTold])
    let mirrored = LauncherSpec(kind: .tensorflow)
    #expect(!mirrored.chiefDecides && !mirrored.serves(rank: 1))
    #expect(!LauncherSpec(kind: .mxnet, strategy: .parameterServer).chiefDecides)
  }

  @Test func doesNotStartWithoutAllPorts() {
    var few = two
    few.rankPorts = [1, 2, 3, 4]
    #expect(throws: LaunchProblem.missingPorts(told: 4, needed: 8)) { try spec.launches(on: share(0), few) }
  }

  @Test func isReadAsItWasWritten() throws {
    #expect(try JSONDecoder().decode(LauncherSpec.self, from: JSONEncoder().encode(spec)) == spec)
    let old = try JSONDecoder().decode(LauncherSpec.self, from: Data(#"{"kind": "tensorflow"}"#.utf8))
    #expect(old == LauncherSpec(kind: .tensorflow))
  }
}
