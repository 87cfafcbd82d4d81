import Domain
import JobFile
import Testing

@Suite struct LauncherTests {
  private func launcher(_ lines: String) throws -> LauncherSpec {
    try parseJobFile("name: a\nrun: python train.py\n" + lines, fileName: "job.yaml").launcher
  }

  @Test func readsTheKindsThatThereAre() throws {
    #expect(try launcher("") == LauncherSpec())
    #expect(
      try launcher("launcher: {kind: tensorflow}") == LauncherSpec(kind: .tensorflow, processesPerNode: 1, gpus: .own))
    #expect(try launcher("launcher: {kind: jax, gpus: all}") == LauncherSpec(kind: .jax, gpus: .all))
    #expect(
      try launcher("launcher: {kind: plain, processes_per_node: 2, gpus: own}")
        == LauncherSpec(kind: .plain, processesPerNode: 2, gpus: .own))
    #expect(try launcher("launcher: {kind: mxnet}") == LauncherSpec(kind: .mxnet))
    #expect(try launcher("launcher: {kind: mxnet, servers: 3}") == LauncherSpec(kind: .mxnet, servers: 3))
    #expect(
      try launcher("launcher: {kind: tensorflow, strategy: parameter_server, servers: 3, evaluator: true}")
        == LauncherSpec(kind: .tensorflow, servers: 3, strategy: .parameterServer, hasEvaluator: true))
    #expect(
      try launcher("launcher: {kind: tensorflow, strategy: mirrored}") == LauncherSpec(kind: .tensorflow))
    #expect(
      try launcher("launcher: {kind: torchrun, processes_per_node: 3}")
        == LauncherSpec(kind: .torchrun, processesPerNode: 3, gpus: .all))
  }

  @Test func torchrunHasARankForEachGPUWhereNobodySaysHowMany() throws {
    #expect(try launcher("launcher: {kind: torchrun}\nresources: {gpus_per_node: 4}").processesPerNode == 4)
    #expect(try launcher("launcher: {kind: torchrun}\nresources: {gpus_per_node: 0}").processesPerNode == 1)
    let found = complaintsAbout("launcher:\n  kind: torchrun")
    #expect(found.count == 1)
    #expect(found.first?.hasPrefix("job.yaml:4:9: launcher.kind: torchrun starts one rank a GPU") == true, "\(found)")
  }

  @Test func oneRankAGPUNeedsTheirNumber() throws {
    #expect(
      try launcher("launcher: {processes_per_node: gpu}\nresources: {gpus_per_node: 8}").processesPerNode == 8)
    for resources in ["", "\nresources: {gpus_per_node: 0}"] {
      let found = complaintsAbout("launcher: {processes_per_node: gpu}" + resources)
      #expect(found.count == 1)
      #expect(found.first?.contains("'gpu' means one rank a GPU: say how many") == true, "\(found)")
    }
  }

  @Test(
    arguments: [
      ("kind: MPI", "did you mean 'mpi'? (known kinds: plain, torchrun, tensorflow, jax, mxnet, mpi)"),
      ("kind: horovod", "did you mean 'mpi'?"), ("kind: mxnt", "did you mean 'mxnet'?"),
      ("kind: jax, servers: 2", "launcher.servers: only kind mxnet, and kind tensorflow with strategy"),
      ("kind: tensorflow, servers: 2", "launcher.servers: only kind mxnet, and kind tensorflow with strategy"),
      ("kind: tensorflow, strategy: ps", "unknown strategy 'ps': did you mean 'parameter_server'?"),
      ("kind: tensorflow, strategy: ring", "unknown strategy 'ring' (known strategies: mirrored, parameter_server)"),
      ("kind: jax, strategy: mirrored", "launcher.strategy: only kind tensorflow has strategies"),
      ("kind: tensorflow, evaluator: true", "launcher.evaluator: only kind tensorflow with strategy: parameter_server"),
      ("kind: tensorflow, strategy: parameter_server, evaluator: 2", "launcher.evaluator: expected true or false"),
      ("kind: mxnet, servers: 0", "launcher.servers: expected a whole number from 1 to 1024"),
      ("kind: torchrnu", "unknown kind 'torchrnu': did you mean 'torchrun'?"),
      ("kind: pytorch", "did you mean 'torchrun'?"), ("kind: slurm", "unknown kind 'slurm' (known kinds: plain"),
      ("kind: [torchrun]", "launcher.kind: expected text, found a list"),
      ("processes_per_node: gpus", "expected a whole number from 1 to 1024, found the text 'gpus'"),
      ("gpus: mine", "'own' only its share of them; found 'mine'"),
      ("kind: tensorflow, ps: 2", "unknown key 'ps' in launcher"),
      ("proceses_per_node: 2", "did you mean 'processes_per_node'?"),
    ])
  func saysWhatIsWrong(keys: String, words: String) {
    let found = complaintsAbout("launcher: {\(keys)}")
    #expect(found.count == 1)
    #expect(found.first?.contains(words) == true, "\(found)")
  }

  @Test func gpusThatCannotBeSharedEvenlyAreFoundBeforeAnythingRuns() {
    let found = complaintsAbout("resources: {gpus_per_node: 4}\nlauncher: {kind: jax, processes_per_node: 3}")
    #expect(found.count == 1)
    #expect(found.first?.contains("4 GPUs cannot be shared evenly by 3 ranks") == true, "\(found)")
    #expect(
      complaintsAbout("resources: {gpus_per_node: 4}\nlauncher: {kind: jax, processes_per_node: 3, gpus: all}").isEmpty)
  }

  /// One mistake, one complaint: how many GPUs there are is wrong, not how many ranks.
  @Test(arguments: ["kind: torchrun", "processes_per_node: gpu"])
  func doesNotAskForANumberOfGPUsThatIsWrong(keys: String) {
    let found = complaintsAbout("resources: {gpus_per_node: many}\nlauncher: {\(keys)}")
    #expect(found.count == 1)
    #expect(found.first?.contains("resources.gpus_per_node") == true, "\(found)")
  }

  @Test(
    arguments: [
      "torchrun --nproc-per-node 4 train.py", "/opt/venv/bin/torchrun train.py",
      "python3 -m torch.distributed.run train.py", "python -u -m torch.distributed.launch train.py",
    ])
  func refusesALauncherInsideTheLauncher(run: String) throws {
    let found = complaints("name: a\nrun: \(run)\nlauncher: {kind: torchrun, processes_per_node: 1}")
    #expect(found.count == 1)
    #expect(found.first?.hasPrefix("job.yaml:2:6: run: starts torchrun, and so does") == true, "\(found)")
    // Who wants its agent on each node has it so.
    #expect(complaints("name: a\nrun: \(run)\nlauncher: {kind: plain}").isEmpty)
  }

  @Test(arguments: ["mpirun -np 4 train.py", "/opt/openmpi/bin/mpiexec train.py", "horovodrun -np 4 python train.py"])
  func refusesMPIRunInsideMPI(run: String) throws {
    let found = complaints("name: a\nrun: \(run)\nlauncher: {kind: mpi}")
    #expect(found.count == 1)
    #expect(found.first?.contains("and so does launcher.kind: mpi: write the program alone") == true, "\(found)")
    #expect(complaints("name: a\nrun: \(run)\nlauncher: {kind: plain}").isEmpty)
    #expect(
      try launcher("launcher: {kind: mpi, processes_per_node: 2}") == LauncherSpec(kind: .mpi, processesPerNode: 2))
  }
}
