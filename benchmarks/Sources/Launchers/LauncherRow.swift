import Foundation

/// A row of the launcher table: a program of `examples` on its framework, and how near a resumed run is to a whole one.
struct LauncherRow: Sendable {
  /// What is held of two runs of the program.
  enum Promise: Sendable {
    /// Every value has the same bits.
    case bitwise
    /// Whose gradient comes first is chance: the mean loss of the last fifth of the steps may be off by this share.
    case close(Double)
  }

  var name: String
  var nodes = 2
  /// Of `launcher`.
  var keys: String
  /// The words that start it; `--pace` may follow, which is the seconds that a step takes at least.
  var command: String
  /// Flags by which steps take long enough to have a lease end among them; none for a program that is slow enough.
  var pace = " --pace 0.1"
  var promise = Promise.bitwise
  var steps: Int
  /// As long as the first lease has to be to hold the launch, some steps and the last save.
  var leaseSeconds: Int
  var data: String?

  /// The text of its job file, for the lease of that name or for whichever there is.
  func job(_ what: String, lease: String = "auto", isSlow: Bool) -> String {
    """
    name: \(name) \(what)
    resources: {nodes: \(nodes), gpus_per_node: 0}
    launcher: {\(keys)}
    lease: {use: \(lease)}
    run: \(command)\(isSlow ? pace : "")
    env: {OMP_NUM_THREADS: "1"}
    checkpoint: {every: 3s}
    seeds: {global: 7}
    \(data.map { "data: [\($0)]" } ?? "")

    """
  }

  /// The table, in its order; `tensorflow`, `mxnet` and `pytorch` (with FSDP) are Pythons that have these, `python` is Debian's.
  static func all(
    python: String, tensorflow: String, mxnet: String, pytorch: String, steps: Int, data: String
  ) -> [LauncherRow] {
    func example(_ path: String) -> String { "\(BenchOptions.absolute("examples/" + path)) --steps \(steps)" }
    func train(_ words: String) -> String { "\(mxnet) \(example("mxnet/train.py")) --mode \(words)" }
    return [
      LauncherRow(
        name: "torchrun_2_nodes", keys: "kind: torchrun", command: "\(python) \(example("pytorch/train.py"))",
        steps: steps, leaseSeconds: 30),
      LauncherRow(
        name: "torchrun_4_nodes", nodes: 4, keys: "kind: torchrun", command: "\(python) \(example("pytorch/train.py"))",
        steps: steps, leaseSeconds: 40),
      LauncherRow(
        name: "torchrun_fsdp", keys: "kind: torchrun", command: "\(pytorch) \(example("pytorch/train_fsdp.py"))",
        steps: steps, leaseSeconds: 30),
      LauncherRow(
        name: "tensorflow_mirrored", keys: "kind: tensorflow",
        command: "\(tensorflow) \(example("tensorflow/train.py"))", steps: steps, leaseSeconds: 50),
      LauncherRow(
        name: "tensorflow_parameter_server",
        keys: "kind: tensorflow, strategy: parameter_server, servers: 2, evaluator: true",
        command: "\(tensorflow) \(example("tensorflow/train_servers.py"))", steps: steps, leaseSeconds: 55),
      LauncherRow(
        name: "mxnet_dist_sync", keys: "kind: mxnet, servers: 2", command: train("sync"), steps: steps,
        leaseSeconds: 35),
      LauncherRow(
        name: "mxnet_dist_async", keys: "kind: mxnet, servers: 2", command: train("async"), promise: .close(0.5),
        steps: steps, leaseSeconds: 35),
      LauncherRow(
        name: "mpi_2_ranks_a_node", keys: "kind: mpi, processes_per_node: 2",
        command: "\(python) -m mpi4py \(example("mpi/train.py"))", steps: steps, leaseSeconds: 30),
      LauncherRow(
        name: "jax", keys: "kind: jax", command: "\(tensorflow) \(example("jax/train.py"))", steps: steps,
        leaseSeconds: 35),
      LauncherRow(
        name: "plain_baton_train", keys: "kind: plain, processes_per_node: 1",
        command: "baton-train --epochs 1000 --learning-rate 0.003 --steps-max \(2 * steps)", pace: "", steps: 2 * steps,
        leaseSeconds: 30, data: data),
    ]
  }
}
