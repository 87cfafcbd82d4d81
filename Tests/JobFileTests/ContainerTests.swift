import Domain
import JobFile
import Testing

@Suite struct ContainerFileTests {
  private func container(_ lines: String) throws -> ContainerSpec? {
    try parseJobFile("name: a\nrun: python train.py\n" + lines, fileName: "job.yaml").container
  }

  @Test func isAnImageAndWhoRunsIt() throws {
    #expect(try container("") == nil)
    #expect(
      try container("container: {image: quay.io/a/b:1}") == ContainerSpec(image: "quay.io/a/b:1", runtime: .podman))
    #expect(
      try container("container: {image: /images/a.sif}") == ContainerSpec(image: "/images/a.sif", runtime: .apptainer))
    #expect(
      try container("container: {image: docker://a/b, runtime: apptainer}")
        == ContainerSpec(image: "docker://a/b", runtime: .apptainer))
  }

  @Test(
    arguments: [
      ("container: {}", "container.image is missing"),
      ("container: {image: a, runtime: docker}", "did you mean 'podman'?"),
      ("container: {image: a, runtime: singularity}", "did you mean 'apptainer'?"),
      ("container: {image: '--privileged'}", "is no name of an image"),
      ("container: {image: a}\nlauncher: {kind: mpi}", "not supported with launcher.kind: mpi"),
      ("container: {image: a}\nsetup: [make]", "leave out requirements and setup"),
    ])
  func saysWhatIsWrong(lines: String, words: String) {
    do {
      _ = try container(lines)
      Issue.record("nothing is wrong with \(lines)")
    } catch {
      #expect("\(error)".contains(words), "\(error)")
    }
  }
}
