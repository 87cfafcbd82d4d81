import Foundation
import Glibc
import Testing

@testable import Lab

@Suite struct ControllerTests {
  /// Answers the commands that a lab gives to `batond`, and listens where its settings say.
  private let standIn = """
    #!/usr/bin/perl
    use strict;
    use IO::Socket::INET;
    my ($command, %options) = (shift @ARGV);
    shift @ARGV if $command eq 'token';
    %options = @ARGV;
    open(my $file, '<', $options{'--config'}) or die "no settings";
    my $settings = join('', <$file>);
    if ($command eq 'migrate') { exit 0 }
    if ($command eq 'token') { print "token-of-$options{'--user'}-$options{'--role'}\\n"; exit 0 }
    my ($port) = $settings =~ /"port"\\s*:\\s*(\\d+)/;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 5, ReuseAddr => 1)
      or die "cannot listen";
    while (my $peer = $listener->accept()) { close $peer }
    """

  @Test(.timeLimit(.minutes(2))) func startsDiesAndStartsAgainAtTheSamePlace() async throws {
    let folder = LabFixture.freshFolder()
    try Files.makeFolder(folder)
    try Files.write(standIn, to: "\(folder)/batond", mode: 0o755)
    let programs = LabPrograms(
      binFolder: folder, controller: "\(folder)/batond", agent: "/bin/true", warden: ["/bin/sleep", "infinity"],
      migrations: "/")
    try await LabFixture.with(nodes: 1, programs: programs) { lab in
      let url = try lab.controller.url
      let client = try #require(Files.text(lab.layout.clientConfiguration))
      #expect(client.contains("token-of-lab-admin") && client.contains(url))
      #expect(try permissions(lab.layout.clientConfiguration) == 0o600)
      #expect(try lab.status().parts.map(\.state) == [.running, .running, .running, .running])

      try await lab.controller.kill()
      #expect(try !lab.controller.isRunning)
      #expect(try lab.status().parts.map(\.state) == [.running, .stopped, .running, .running])
      try await lab.controller.start(migrating: false)
      #expect(try lab.controller.isRunning)
      #expect(try lab.controller.url == url)
      try await lab.controller.stop()
      try await lab.stopWarden()
      #expect(try lab.status().parts.map(\.state) == [.running, .stopped, .stopped, .running])
    }
    try Files.remove(folder)
  }

  @Test(.timeLimit(.minutes(2))) func saysWhyAControllerDidNotStart() async throws {
    let programs = LabPrograms(
      binFolder: "/usr/bin", controller: "/bin/false", agent: "/bin/true", warden: nil, migrations: "/")
    await #expect {
      try await LabFixture.with(nodes: 1, programs: programs) { _ in }
    } throws: {
      ($0 as? LabError)?.code == .programFailed
    }
  }

  private func permissions(_ path: String) throws -> UInt32 {
    var status = stat()
    guard stat(path, &status) == 0 else { throw Files.failure("look at", path) }
    return status.st_mode & 0o777
  }
}
