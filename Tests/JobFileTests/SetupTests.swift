import Domain
import JobFile
import Testing

@Suite struct SetupTests {
  private func setup(_ lines: String) throws -> SetupSpec? {
    try parseJobFile("name: a\nrun: python train.py\n" + lines, fileName: "job.yaml").setup
  }

  @Test func isTheTextOfALockFileAndCommands() throws {
    #expect(try setup("") == nil)
    #expect(
      try setup("requirements: |\n  numpy==1.26.4 \\\n    --hash=sha256:aa\n  six==1.16.0\n")
        == SetupSpec(requirements: "numpy==1.26.4 \\\n  --hash=sha256:aa\nsix==1.16.0\n"))
    #expect(
      try setup("setup:\n  - pip install --no-deps '/opt/my code'\n  - [make, -C, /opt/ops]\n")
        == SetupSpec(commands: [["pip", "install", "--no-deps", "/opt/my code"], ["make", "-C", "/opt/ops"]]))
  }

  @Test(arguments: ["setup: make", "setup: [{run: make}]", "setup: ['']", "requirements: [numpy]"])
  func saysWhatIsWrong(lines: String) {
    #expect(throws: JobFileError.self) { try setup(lines) }
  }
}
