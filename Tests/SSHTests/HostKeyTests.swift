import SSH
import Testing

struct HostKeyTests {
  // The fingerprint is `ssh-keygen -l`'s own for this key.
  let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVhGk0fVcQ3nQp0yTl3zN7S6UkQfO3rS8sQm1jKc2Xy"

  @Test func readsALineWithAComment() throws {
    let key = try #require(HostKey(line + " root@node\n"))
    #expect(key.type == "ssh-ed25519")
    #expect(key.description == line)
    #expect(key == HostKey(line))
    #expect(key == HostKey(blob: key.blob))
  }

  @Test func printsTheFingerprintAsOpenSSHDoes() throws {
    let key = try #require(HostKey(line))
    #expect(key.fingerprint == "SHA256:Mf42F+Tj+ljrdmDoLc9iLeNiG1v4i7JofsfMotFzeWs")
  }

  @Test(arguments: [
    "", "ssh-ed25519", "ssh-ed25519 !!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGVh", "a AAAA", "x //////8=",
  ])
  func refusesWhatIsNoKey(text: String) {
    #expect(HostKey(text) == nil)
  }
}
