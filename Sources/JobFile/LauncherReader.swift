internal import Domain
internal import Yams

/// Reads how the ranks are started, and whether that goes with the rest of the file.
struct LauncherReader {
  /// What people call a kind that has another name here.
  private static let otherNames = [
    "pytorch": "torchrun", "torch": "torchrun", "ddp": "torchrun", "fsdp": "torchrun", "torch.distributed": "torchrun",
    "tf": "tensorflow", "keras": "tensorflow", "none": "plain", "flax": "jax",
    "openmpi": "mpi", "mpirun": "mpi", "mpi4py": "mpi", "horovod": "mpi",
  ]

  /// What people call a strategy that has another name here.
  private static let otherStrategies = [
    "multiworkermirroredstrategy": "mirrored", "multi_worker_mirrored": "mirrored", "multiworkermirrored": "mirrored",
    "parameterserverstrategy": "parameter_server", "parameterserver": "parameter_server", "ps": "parameter_server",
  ]
  /// Programs that start ranks as `mpi` does.
  private static let mpiStarters = ["mpirun", "mpiexec", "orterun", "prterun", "horovodrun"]

  let section: Section
  /// Nil where the file does not tell, or not rightly: `isGPUCountTold`.
  let gpusPerNode: Int?
  let isGPUCountTold: Bool
  let command: [String]
  let commandMark: Mark?

  /// The launcher; what is wrong with it is in the log.
  func spec() -> LauncherSpec {
    guard let kind = kind() else { return LauncherSpec() }
    checkCommand(kind)
    let strategy = strategy(kind)
    let spec = LauncherSpec(
      kind: kind, processesPerNode: processesPerNode(kind), gpus: gpus(), servers: servers(kind, strategy),
      strategy: strategy, hasEvaluator: hasEvaluator(strategy))
    checkShares(spec)
    return spec
  }

  /// The kind, `plain` where none is told; nil for one that is none.
  private func kind() -> LauncherSpec.Kind? {
    guard let node = section.node("kind") else { return .plain }
    guard let word = section.word("kind") else { return nil }
    if let kind = LauncherSpec.Kind(rawValue: word) { return kind }
    let names = LauncherSpec.Kind.allCases.map(\.rawValue)
    let known = "(known kinds: \(names.joined(separator: ", ")))"
    let hint = (Self.otherNames[word.lowercased()] ?? closest(to: word, among: names)).map {
      ": did you mean '\($0)'?"
    }
    section.log.add("launcher.kind: unknown kind '\(word)'\(hint ?? "") \(known)", at: node.mark)
    return nil
  }

  private func processesPerNode(_ kind: LauncherSpec.Kind) -> Int {
    guard let node = section.node("processes_per_node") else {
      guard kind == .torchrun, !isGPUCountTold else { return kind == .torchrun ? max(1, gpusPerNode ?? 1) : 1 }
      section.log.add(
        "launcher.kind: torchrun starts one rank a GPU: say how many with resources.gpus_per_node, or how many ranks "
          + "with launcher.processes_per_node", at: section.node("kind")?.mark)
      return 1
    }
    if case .scalar(let scalar) = node, scalar.string == "gpu" {
      if let gpusPerNode, gpusPerNode > 0 { return gpusPerNode }
      if gpusPerNode == 0 || !isGPUCountTold {
        section.log.add(
          "launcher.processes_per_node: 'gpu' means one rank a GPU: say how many with resources.gpus_per_node",
          at: node.mark)
      }
      return 1
    }
    return section.integer("processes_per_node", in: 1...1024) ?? 1
  }

  private func gpus() -> LauncherSpec.GPUView? {
    guard let word = section.word("gpus") else { return nil }
    if let view = LauncherSpec.GPUView(rawValue: word) { return view }
    section.log.add(
      "launcher.gpus: 'all' lets every rank see all GPUs of its node, 'own' only its share of them; found '\(word)'",
      at: section.node("gpus")?.mark)
    return nil
  }

  private func strategy(_ kind: LauncherSpec.Kind) -> LauncherSpec.Strategy {
    guard let node = section.node("strategy") else { return .mirrored }
    guard kind == .tensorflow else {
      section.log.add("launcher.strategy: only kind tensorflow has strategies", at: node.mark)
      return .mirrored
    }
    guard let word = section.word("strategy") else { return .mirrored }
    if let strategy = LauncherSpec.Strategy(rawValue: word) { return strategy }
    let names = LauncherSpec.Strategy.allCases.map(\.rawValue)
    let hint = (Self.otherStrategies[word.lowercased()] ?? closest(to: word, among: names)).map {
      ": did you mean '\($0)'?"
    }
    section.log.add(
      "launcher.strategy: unknown strategy '\(word)'\(hint ?? "") (known strategies: \(names.joined(separator: ", ")))",
      at: node.mark)
    return .mirrored
  }

  private func servers(_ kind: LauncherSpec.Kind, _ strategy: LauncherSpec.Strategy) -> Int? {
    guard let node = section.node("servers") else { return nil }
    if kind == .mxnet || strategy == .parameterServer { return section.integer("servers", in: 1...1024) }
    section.log.add(
      "launcher.servers: only kind mxnet, and kind tensorflow with strategy: parameter_server, have servers of "
        + "parameters", at: node.mark)
    return nil
  }

  private func hasEvaluator(_ strategy: LauncherSpec.Strategy) -> Bool {
    guard let node = section.node("evaluator") else { return false }
    if strategy == .parameterServer { return section.boolean("evaluator") ?? false }
    section.log.add(
      "launcher.evaluator: only kind tensorflow with strategy: parameter_server has an evaluator", at: node.mark)
    return false
  }

  private func checkShares(_ spec: LauncherSpec) {
    guard spec.gpus == .own, let gpusPerNode, gpusPerNode % spec.processesPerNode != 0 else { return }
    let problem = LaunchProblem.unevenGPUs(gpus: gpusPerNode, ranks: spec.processesPerNode)
    section.log.add("launcher: \(problem)", at: (section.node("processes_per_node") ?? section.node("gpus"))?.mark)
  }

  /// A launcher that Baton starts as a rank would start ranks of its own.
  private func checkCommand(_ kind: LauncherSpec.Kind) {
    guard let program = command.first else { return }
    if kind == .mpi, Self.mpiStarters.contains(String(program.split(separator: "/").last ?? "")) {
      section.log.add(
        "run: starts \(program), and so does launcher.kind: mpi: write the program alone, as in run: python3 train.py, say "
          + "how many ranks with launcher.processes_per_node, and put options into env (OMPI_MCA_...)", at: commandMark)
    }
    guard kind == .torchrun else { return }
    let modules = zip(command, command.dropFirst()).filter { $0.0 == "-m" }.map(\.1)
    let isTorchrun = program.split(separator: "/").last == "torchrun"
    guard isTorchrun || modules.contains(where: { ["torch.distributed.run", "torch.distributed.launch"].contains($0) })
    else { return }
    section.log.add(
      "run: starts torchrun, and so does launcher.kind: torchrun: write the program alone, as in run: python train.py, "
        + "and its ranks are started for it", at: commandMark)
  }
}
