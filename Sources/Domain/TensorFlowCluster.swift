/// Who is who in a cluster of TensorFlow, and where: what `TF_CONFIG` tells.
///
/// With MultiWorkerMirroredStrategy every rank is a worker, and worker 0 is the chief. With ParameterServerStrategy
/// rank 0 is the chief, which leads and computes little: so that its share of the GPUs is used, worker 0 runs beside
/// it, as a helper. Every other rank is the worker of its number. Servers (`ps`) go round the nodes. The evaluator is on
/// the chief's node, where it finds what the chief saved; nobody speaks to it, so it is no member.
struct TensorFlowCluster: Hashable, Sendable {
  /// What a member does.
  enum Role: String, Hashable, CaseIterable { case chief, worker, ps }

  /// What a member is to Baton.
  enum Process: Hashable {
    case rank(Int)
    case helper(String)
  }

  struct Member: Hashable {
    var role: Role
    /// Position among those of its role.
    var index: Int
    var node: Int
    var process: Process
  }

  /// All that listen on a port, node by node, the ranks of a node before its helpers: the order of their ports.
  let members: [Member]

  /// The cluster of `spec` on so many nodes.
  init(_ spec: LauncherSpec, nodes: Int) {
    var members: [Member] = []
    for node in 0..<nodes {
      for rank in node * spec.processesPerNode..<(node + 1) * spec.processesPerNode {
        let isChief = spec.chiefDecides && rank == 0
        members.append(
          Member(role: isChief ? .chief : .worker, index: rank, node: node, process: .rank(rank)))
      }
      guard spec.chiefDecides else { continue }
      if node == 0 { members.append(Member(role: .worker, index: 0, node: 0, process: .helper("worker-0"))) }
      for index in 0..<(spec.servers ?? nodes) where index % nodes == node {
        members.append(Member(role: .ps, index: index, node: node, process: .helper("ps-\(index)")))
      }
    }
    self.members = members
  }

  /// What the process of a `role` and an `index` in it finds in `TF_CONFIG`.
  ///
  /// - Parameter endpoints: where each of the members listens, in their order.
  func configuration(_ role: String, _ index: Int, endpoints: [String]) -> String {
    let all = zip(members, endpoints).sorted { $0.0.index < $1.0.index }
    let cluster = Role.allCases.compactMap { role -> String? in
      let found = all.filter { $0.0.role == role }.map { Self.quoted($0.1) }
      return found.isEmpty ? nil : #""\#(role.rawValue)":[\#(found.joined(separator: ","))]"#
    }
    return #"{"cluster":{\#(cluster.joined(separator: ","))},"task":{"type":"\#(role)","index":\#(index)}}"#
  }

  /// `text` as JSON has it.
  private static func quoted(_ text: String) -> String {
    let escaped = text.unicodeScalars.map { scalar in
      switch scalar {
      case "\"", "\\": "\\\(scalar)"
      case "\0"..<" ": "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: "\(scalar)"
      }
    }
    return "\"\(escaped.joined())\""
  }
}

extension LauncherSpec {
  /// Whether rank 0 leads, and its end alone decides: all other processes serve it, and never end by themselves.
  public var chiefDecides: Bool { kind == .tensorflow && strategy == .parameterServer }

  /// Whether the process of `rank` only serves others: it saves nothing, and is ended once the chief is gone.
  public func serves(rank: Int) -> Bool { chiefDecides && rank != 0 }

  /// How many processes of the node of `nodeRank` listen on a port of their own, which the others have to know before
  /// they start.
  public func listeners(onNode nodeRank: Int, of nodes: Int) -> Int {
    guard kind == .tensorflow else { return 0 }
    return TensorFlowCluster(self, nodes: nodes).members.count { $0.node == nodeRank }
  }

  /// What TensorFlow is told in a rank.
  func tensorFlow(rank: Int, _ rendezvous: Rendezvous) -> [String: String] {
    let cluster = TensorFlowCluster(self, nodes: rendezvous.nodeAddresses.count)
    guard let member = cluster.members.first(where: { $0.process == .rank(rank) }) else { return [:] }
    var variables = ["TF_CONFIG": configuration(member.role.rawValue, member.index, cluster, rendezvous)]
    // It would take the memory of GPUs that the workers compute on.
    if member.role == .chief { variables["CUDA_VISIBLE_DEVICES"] = "" }
    return variables
  }

  /// TensorFlow's processes beside the ranks of the node of `share`.
  func tensorFlowHelpers(
    on share: NodeShare, _ rendezvous: Rendezvous
  ) throws(LaunchProblem) -> [HelperLaunch] {
    guard chiefDecides else { return [] }
    let cluster = TensorFlowCluster(self, nodes: rendezvous.nodeAddresses.count)
    var helpers: [HelperLaunch] = []
    func add(_ name: String, _ role: String, _ index: Int, _ gpus: ArraySlice<Int>, _ ending: HelperLaunch.Ending) {
      helpers.append(
        HelperLaunch(
          name: name, ending: ending, defaults: defaults(on: share),
          variables: Self.seeing(gpus).merging(
            ["TF_CONFIG": configuration(role, index, cluster, rendezvous)]) { $1 }))
    }
    for member in cluster.members where member.node == share.nodeRank {
      guard case .helper(let name) = member.process else { continue }
      let gpus = member.role == .worker ? try visibleGPUs(0, sharedGPUs(of: share)) : []
      add(name, member.role.rawValue, member.index, gpus, .never)
    }
    if hasEvaluator, share.nodeRank == 0 { add("evaluator", "evaluator", 0, [], .whenTold) }
    return helpers
  }

  private func configuration(
    _ role: String, _ index: Int, _ cluster: TensorFlowCluster, _ rendezvous: Rendezvous
  ) -> String {
    let endpoints = zip(cluster.members, rendezvous.rankPorts).map {
      Self.endpoint(rendezvous.nodeAddresses[$0.node], $1)
    }
    return cluster.configuration(role, index, endpoints: endpoints)
  }
}
