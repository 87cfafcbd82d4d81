public import Domain
import Glibc

/// What a lab consists of.
///
/// Written into `lab.json` and never changed for a lab that exists.
public struct LabSettings: Sendable, Hashable, Codable {
  /// Folder of the lab, absolute.
  ///
  /// Created; `Lab.down` removes it with everything in it.
  public var root: String
  /// How many nodes; 1 to 250.
  public var nodeCount: Int
  /// The port of every node's sshd; nil picks one that is free on all addresses.
  public var sshPort: Int?
  /// Size of each node's disk.
  public var diskSize: ByteCount
  /// What each node's disk is; nil is `.memory`.
  public var disk: DiskKind?
  /// How many stand-in GPUs each node reports.
  public var gpusPerNode: Int
  /// The programs of Baton that the lab starts.
  public var programs: LabPrograms
  /// Whether everything ends, and the folder goes, when the process that called `Lab.up` ends in any way.
  ///
  /// For tests, whose process may be killed. Nothing of the lab then depends on `Lab.down` being reached.
  public var dieWithParent: Bool
  /// Further keys of the controller's settings file (docs/configuration.md), such as shorter times for tests.
  public var controllerSettings: [String: Double]?
  /// Where objects are; nil is a folder of the lab.
  public var objectStore: ObjectStoreChoice?
  /// Gives each node a network and an address of its own, and a link to the machine that can be cut and impaired; nil
  /// leaves all nodes in the machine's network.
  ///
  /// Needs root. Such nodes reach each other and the machine, and nothing else.
  public var network: LabNetwork?

  /// What a node's disk is, where the lab has root; without, it is a folder.
  public enum DiskKind: String, Sendable, Hashable, Codable {
    /// A file system in memory: quick, and never late.
    case memory
    /// ext4 on a loop device over a file of the lab's folder: as slow as what is below it, and it can stall
    /// (`LabNode.stallDisk`) and be slow (`LabNode.slowDisk`).
    case device
  }

  /// An object store that is not the lab's own.
  public struct ObjectStoreChoice: Sendable, Hashable, Codable {
    /// `s3://bucket/prefix`, `swift://container/prefix` or `file:///folder`.
    public var location: String
    /// The file that opens it (docs/configuration.md); nil where none is needed.
    public var credentialsFile: String?

    /// The store at `location`.
    public init(location: String, credentialsFile: String?) {
      self.location = location
      self.credentialsFile = credentialsFile
    }
  }

  /// A lab in `root` with 4 nodes of 2 GiB and one stand-in GPU each, unless told otherwise.
  public init(
    root: String, programs: LabPrograms, nodeCount: Int = 4, sshPort: Int? = nil, diskSize: ByteCount = .gibibytes(2),
    disk: DiskKind? = nil, gpusPerNode: Int = 1, dieWithParent: Bool = false,
    controllerSettings: [String: Double]? = nil,
    objectStore: ObjectStoreChoice? = nil, network: LabNetwork? = nil
  ) {
    self.root = root
    self.programs = programs
    self.nodeCount = nodeCount
    self.sshPort = sshPort
    self.diskSize = diskSize
    self.disk = disk
    self.gpusPerNode = gpusPerNode
    self.dieWithParent = dieWithParent
    self.controllerSettings = controllerSettings
    self.objectStore = objectStore
    self.network = network
  }

  /// Refuses what cannot work, in words for the person who set it.
  func validate() throws(LabError) {
    guard (1...250).contains(nodeCount) else {
      throw LabError(.invalidSettings, "a lab has 1 to 250 nodes, not \(nodeCount)")
    }
    guard (0...64).contains(gpusPerNode) else {
      throw LabError(.invalidSettings, "a lab node has 0 to 64 stand-in GPUs, not \(gpusPerNode)")
    }
    guard diskSize >= .mebibytes(1) else {
      throw LabError(.invalidSettings, "a node's disk of \(diskSize) is too small", advice: "give it at least 1 MiB")
    }
    if let sshPort, !(1...65_535).contains(sshPort) {
      throw LabError(.invalidSettings, "\(sshPort) is not a port")
    }
    guard network == nil || getuid() == 0 else {
      throw LabError(.unsupported, "nodes with links of their own need root", advice: "run it as root")
    }
    guard disk != .device || getuid() == 0 else {
      throw LabError(.unsupported, "disks that are devices need root", advice: "run it as root")
    }
    guard disk != .device || diskSize >= .mebibytes(16) else {
      throw LabError(.invalidSettings, "ext4 does not fit on \(diskSize)", advice: "give disks at least 16 MiB")
    }
    guard network == nil || Files.exists("/dev/net/tun") else {
      throw LabError(.unsupported, "there is no /dev/net/tun for the nodes' links", advice: "modprobe tun")
    }
    // The path ends up in sshd_config, /proc/mounts and shell scripts, each with quoting rules of its own.
    let plain = root.utf8.allSatisfy { byte in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || "/._-+@".utf8.contains(byte)
    }
    guard root.hasPrefix("/"), root.count > 1, plain, !root.split(separator: "/").contains("..") else {
      throw LabError(
        .invalidSettings, "the lab folder '\(root)' is not an absolute path of plain characters",
        advice: "use letters, digits and / . _ - + @ only")
    }
  }
}

/// Where the programs are that a lab starts besides PostgreSQL and sshd.
public struct LabPrograms: Sendable, Hashable, Codable {
  /// Folder put first in the search path of every node.
  public var binFolder: String
  /// The controller; nil for a lab of a database and nodes only.
  public var controller: String?
  /// The agent that the controller pushes to nodes.
  public var agent: String
  /// The command line of the lab's warden, `--lab ROOT` included; nil for a lab whose nodes nobody takes away.
  public var warden: [String]?
  /// Folder of the SQL migrations.
  public var migrations: String
  /// The command line of the nodes' links, `--lab ROOT` included; nil for labs that have none.
  public var links: [String]?

  /// Programs at places of their own.
  public init(
    binFolder: String, controller: String?, agent: String, warden: [String]?, migrations: String, links: [String]? = nil
  ) {
    self.binFolder = binFolder
    self.controller = controller
    self.agent = agent
    self.warden = warden
    self.migrations = migrations
    self.links = links
  }

  /// `batond`, `baton-agent` and `baton` of one folder, for the lab in `root`.
  public init(binFolder: String, migrations: String, root: String) {
    self.init(
      binFolder: binFolder, controller: "\(binFolder)/batond", agent: "\(binFolder)/baton-agent",
      warden: ["\(binFolder)/baton", "lab", "warden", "--lab", root], migrations: migrations,
      links: ["\(binFolder)/baton", "lab", "links", "--lab", root])
  }
}
