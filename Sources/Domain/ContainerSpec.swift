/// The image that a job's ranks run in.
public struct ContainerSpec: Hashable, Sendable, Codable {
  /// Who runs it.
  public enum Runtime: String, Hashable, Sendable, Codable, CaseIterable {
    case podman
    case apptainer
  }

  /// What the runtime calls it: `docker.io/pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime`, `/images/torch.sif`...
  public var image: String
  /// Who runs it.
  public var runtime: Runtime

  /// `image`, run by `runtime`.
  public init(image: String, runtime: Runtime) {
    self.image = image
    self.runtime = runtime
  }

  /// What of the node a rank sees, by the same paths as outside.
  public struct Mounts: Hashable, Sendable {
    /// Folders to write to.
    public var writable: [String]
    /// Folders and files to read.
    public var readOnly: [String]

    /// `writable` and `readOnly`, each by its absolute path.
    public init(writable: [String], readOnly: [String]) {
      self.writable = writable
      self.readOnly = readOnly
    }
  }

  /// Variables of the node that mean nothing in an image.
  private static let ofTheNode: Set<String> = ["PATH", "HOME", "USER", "LANG", "VIRTUAL_ENV"]

  /// How `command` is run in the image, with the values of `variables` in the environment of what this starts, and never among
  /// its arguments, where everybody on the node could read them.
  ///
  /// It sees the node's network and shared memory, since ranks talk to each other by both, and all GPUs if `hasGPUs`
  /// (`CUDA_VISIBLE_DEVICES` says which are meant). Signals that the runtime gets go to the program; `podman` writes the
  /// process id of what is first in the container to `pidFile`.
  public func wrapping(
    _ command: [String], variables: some Sequence<String>, mounts: Mounts, folder: String, pidFile: String,
    hasGPUs: Bool
  ) -> [String] {
    switch runtime {
    case .podman:
      var words = ["podman", "run", "--rm", "--init", "--pidfile", pidFile, "--log-driver", "none"]
      words += ["--network", "host", "--ipc", "host", "--ulimit", "host", "--security-opt", "label=disable"]
      for name in variables.filter({ !Self.ofTheNode.contains($0) }).sorted() { words += ["--env", name] }
      for path in mounts.writable { words += ["--volume", "\(path):\(path)"] }
      for path in mounts.readOnly { words += ["--volume", "\(path):\(path):ro"] }
      if hasGPUs { words += ["--device", "nvidia.com/gpu=all"] }
      return words + ["--workdir", folder, "--entrypoint", "", image] + command
    case .apptainer:
      // It hands on all variables but those that belong to the image.
      var words = ["apptainer", "exec", "--no-home", "--pwd", folder]
      for path in mounts.writable { words += ["--bind", "\(path):\(path)"] }
      for path in mounts.readOnly { words += ["--bind", "\(path):\(path):ro"] }
      if hasGPUs { words.append("--nv") }
      return words + [image] + command
    }
  }
}
