/// Where everything of a lab is kept below its folder.
public struct LabLayout: Sendable, Hashable {
  /// The folder of the lab, absolute, without a slash at its end.
  public let root: String

  /// The layout of the lab in `root`.
  ///
  /// Touches nothing.
  public init(root: String) {
    var root = root
    while root.count > 1, root.hasSuffix("/") { root.removeLast() }
    self.root = root
  }

  /// The record of what runs where.
  public var record: String { "\(root)/lab.json" }
  /// Settings of the controller.
  public var controllerConfiguration: String { "\(root)/batond.json" }
  /// The key that seals the credentials of an object store that is not the lab's own.
  public var objectStoreKey: String { "\(root)/object-store.key" }
  /// Address and token for the CLI; readable by its owner only.
  public var clientConfiguration: String { "\(root)/client.json" }
  /// The object store.
  public var objects: String { "\(root)/objects" }
  /// Logs of every part.
  public var logs: String { "\(root)/log" }
  /// Private key that opens every node.
  public var sshKey: String { "\(root)/ssh/id_ed25519" }
  /// Its public half.
  public var sshPublicKey: String { sshKey + ".pub" }

  var lock: String { "\(root)/lab.lock" }
  var links: String { "\(root)/links" }
  var watchdogScript: String { "\(root)/watchdog.sh" }

  /// The log of one part: `postgres`, `batond`, `warden`, `links`, a node's name.
  public func log(of part: String) -> String { "\(logs)/\(part).log" }

  func node(_ name: String) -> NodeLayout { NodeLayout(folder: "\(root)/nodes/\(name)", log: log(of: name)) }
}

/// Where everything of one node is kept.
struct NodeLayout: Sendable, Hashable {
  let folder: String
  let log: String

  var disk: String { "\(folder)/disk" }
  /// What a disk that is a device is kept in.
  var diskImage: String { "\(folder)/disk.ext4" }
  var home: String { "\(disk)/home" }
  var scratch: String { "\(disk)/tmp" }
  var filler: String { "\(disk)/.filler" }
  var programs: String { "\(folder)/bin" }
  var standIn: String { "\(programs)/nvidia-smi" }
  var hostKey: String { "\(folder)/ssh_host_ed25519_key" }
  var hostPublicKey: String { hostKey + ".pub" }
  var serverConfiguration: String { "\(folder)/sshd_config" }
  var authorizedKeys: String { "\(folder)/authorized_keys" }
  var pidFile: String { "\(folder)/sshd.pid" }
  var bootScript: String { "\(folder)/boot.sh" }
  var etc: String { "\(folder)/etc" }
  var lock: String { "\(folder)/lock" }
}
