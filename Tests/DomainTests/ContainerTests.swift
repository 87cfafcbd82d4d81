import Domain
import Testing

@Suite struct ContainerTests {
  private let mounts = ContainerSpec.Mounts(writable: ["/b/work", "/b/save"], readOnly: ["/b/data"])

  private func command(_ runtime: ContainerSpec.Runtime, _ image: String, hasGPUs: Bool = true) -> [String] {
    ContainerSpec(image: image, runtime: runtime).wrapping(
      ["python", "train.py", "--rate=0.1"], variables: ["RANK", "PATH", "HOME", "TOKEN"], mounts: mounts,
      folder: "/b/work", pidFile: "/b/pid", hasGPUs: hasGPUs)
  }

  @Test func podmanSeesTheNetworkAndTheSamePaths() {
    let line = command(.podman, "docker.io/library/python:3.12").joined(separator: " ")
    #expect(
      line == "podman run --rm --init --pidfile /b/pid --log-driver none --network host --ipc host --ulimit host "
        + "--security-opt label=disable --env RANK --env TOKEN --volume /b/work:/b/work --volume /b/save:/b/save "
        + "--volume /b/data:/b/data:ro --device nvidia.com/gpu=all --workdir /b/work --entrypoint  "
        + "docker.io/library/python:3.12 python train.py --rate=0.1")
  }

  @Test func apptainerDoesToo() {
    #expect(
      command(.apptainer, "/images/torch.sif").joined(separator: " ")
        == "apptainer exec --no-home --pwd /b/work --bind /b/work:/b/work --bind /b/save:/b/save "
        + "--bind /b/data:/b/data:ro --nv /images/torch.sif python train.py --rate=0.1")
  }

  @Test func thereAreNoGPUsForWhoHasNone() {
    #expect(!command(.podman, "a", hasGPUs: false).contains("--device"))
    #expect(!command(.apptainer, "a", hasGPUs: false).contains("--nv"))
  }

  /// Arguments can be read by everybody on the node.
  @Test(arguments: ContainerSpec.Runtime.allCases) func noValueOfAVariableIsAnArgument(runtime: ContainerSpec.Runtime) {
    #expect(!command(runtime, "a").contains { $0.contains("TOKEN=") })
  }
}
