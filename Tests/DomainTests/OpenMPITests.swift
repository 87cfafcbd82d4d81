import Domain
import Testing

@Suite struct OpenMPITests {
  private let gang = Rendezvous(attempt: AttemptID(7), nodeAddresses: ["10.0.0.1", "10.0.0.2"], masterPort: 4000)
  private let spec = LauncherSpec(kind: .mpi, processesPerNode: 2)

  @Test func mpirunIsOnTheFirstNodeAndPlacesRanksAsBatonCountsThem() throws {
    let helpers = try spec.helpers(on: NodeShare(nodeRank: 0, gpus: [], cores: 4), gang)
    let mpirun = try #require(helpers.first)
    #expect(helpers.count == 1)
    #expect(mpirun.name == "mpirun")
    let line = mpirun.command?.joined(separator: " ") ?? ""
    #expect(
      line == "mpirun --host 10.0.0.1:2,10.0.0.2:2 -np 4 --map-by slot --bind-to none /bin/true")
    #expect(try spec.helpers(on: NodeShare(nodeRank: 1, gpus: [], cores: 4), gang).isEmpty)
  }

  /// What Open MPI 4.1.4 hands to its `plm_rsh_agent`, and what it hands over where it was called by its path.
  @Test(
    arguments: [
      #" orted -mca ess "env" -mca ess_base_vpid 1 -mca orte_hnp_uri "42.0;tcp://10.0.0.1:58015" -mca plm "rsh""#,
      #"PATH=/opt/ompi/bin:$PATH ; export PATH ; /opt/ompi/bin/orted --daemonize -mca ess "env""#,
      #"( test ! -r ./.profile || . ./.profile; orted -mca ess 'env' )"#,
    ])
  func findsTheDaemonInWhatARemoteShellWouldBeTold(text: String) throws {
    let command = try #require(OpenMPI.daemonCommand(text))
    #expect(OpenMPI.isDaemon(command[0]))
    #expect(Array(command[1...3]) == ["-mca", "ess", "env"])
    #expect(!command.contains("--daemonize") && !command.contains(")"))
    if text.contains("hnp_uri") { #expect(command.contains("42.0;tcp://10.0.0.1:58015")) }
  }

  @Test(arguments: ["", "rm -rf /", "echo orted-is-not-here"])
  func startsNothingElseThanADaemon(text: String) {
    #expect(OpenMPI.daemonCommand(text) == nil)
  }

  @Test func tellsMPIWhichInterfaceToUseUnlessTheUserDoes() throws {
    let share = NodeShare(nodeRank: 1, gpus: [], cores: 4, interface: "ib0")
    let rank = try #require(try spec.launches(on: share, gang).first)
    for name in ["OMPI_MCA_oob_tcp_if_include", "OMPI_MCA_btl_tcp_if_include", "GLOO_SOCKET_IFNAME"] {
      #expect(rank.defaults[name] == "ib0" && rank.variables[name] == nil)
    }
    #expect(rank.defaults["NCCL_SOCKET_IFNAME"] == "=ib0")
    #expect(spec.mpiDaemon(["orted"], on: share).defaults["OMPI_MCA_oob_tcp_if_include"] == "ib0")
    let plain = try #require(try LauncherSpec().launches(on: share, gang).first)
    #expect(plain.defaults["GLOO_SOCKET_IFNAME"] == "ib0" && plain.defaults["OMPI_MCA_oob_tcp_if_include"] == nil)
  }
}

@Suite struct NetworkInterfaceTests {
  private let all = [
    NetworkInterface(name: "lo", address: [127, 0, 0, 1], prefix: 8, isLoopback: true),
    NetworkInterface(name: "eth0", address: [192, 168, 3, 7], prefix: 24),
    NetworkInterface(name: "ib0", address: [10, 1, 0, 7], prefix: 16),
    NetworkInterface(name: "lo", address: [UInt8](repeating: 0, count: 15) + [1], prefix: 128, isLoopback: true),
    NetworkInterface(name: "eth0", address: [0xfd] + [UInt8](repeating: 0, count: 14) + [7], prefix: 64),
  ]

  @Test func isTheOneThatHasTheAddress() {
    #expect(NetworkInterface.reached(at: [[10, 1, 0, 7]], of: all) == "ib0")
    #expect(NetworkInterface.reached(at: [[192, 168, 3, 7]], of: all) == "eth0")
    #expect(NetworkInterface.reached(at: [[0xfd] + [UInt8](repeating: 0, count: 14) + [7]], of: all) == "eth0")
  }

  @Test func everyAddressOfLoopbackIsTheNodesOwn() {
    #expect(NetworkInterface.reached(at: [[127, 0, 1, 3]], of: all) == "lo")
  }

  /// A public address that a router translates says nothing of how the nodes talk to each other.
  @Test func isNoneWhereAnotherMachineHasTheAddress() {
    #expect(NetworkInterface.reached(at: [[192, 168, 3, 8]], of: all) == nil)
    #expect(NetworkInterface.reached(at: [[129, 114, 1, 1]], of: all) == nil)
    #expect(NetworkInterface.reached(at: [], of: all) == nil)
  }

  @Test func isThatOfTheFirstAddressThatOneHas() {
    #expect(NetworkInterface.reached(at: [[129, 114, 1, 1], [10, 1, 0, 7], [192, 168, 3, 7]], of: all) == "ib0")
  }
}
