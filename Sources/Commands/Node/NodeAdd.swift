import APIClient
import ArgumentParser
import Wire

/// `baton node add`.
struct NodeAdd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Add a machine that can be reached by SSH.",
    discussion: Help.examples(
      "baton node add n1 --address 10.0.0.11 --user cc --node-type gpu_a100 --root /local/baton \\",
      "    --host-key \"$(ssh-keyscan -t ed25519 10.0.0.11 | cut -d' ' -f2-)\"",
      "baton node add n1 --address 10.0.0.11 --user cc --node-type gpu_a100 --root /local/baton",
      "    without a host key the node is asked for it, for you to compare and give"))

  @Argument(help: "Its name; unique.")
  var name: String

  @Option(help: "Where its sshd listens: a host name or an address.")
  var address: String

  @Option(help: "On which port.")
  var port = 22

  @Option(help: "As whom to log in.")
  var user: String

  @Option(
    help: ArgumentHelp(
      "Its host key as in known_hosts, without the host: 'ssh-ed25519 AAAA...'. Baton trusts no other.",
      valueName: "key"))
  var hostKey: String?

  @Option(help: ArgumentHelp("Class of machine, as leases ask for it.", valueName: "type"))
  var nodeType = "default"

  @Option(help: ArgumentHelp("Folder on its local disk that is to be Baton's.", valueName: "path"))
  var root: String

  @OptionGroup var global: GlobalOptions

  func validate() throws {
    guard (1...65_535).contains(port) else { throw ValidationError("--port \(port): a port is 1 to 65535") }
    guard root.hasPrefix("/"), root.count > 1 else {
      throw ValidationError("--root \(root): give an absolute path of a folder, as in /local/baton")
    }
  }

  func run() async throws {
    try await global.withClient { client, context in
      let check = try await client.addNode(
        NodeRequest(
          name: name, address: address, port: port, user: user, hostKey: hostKey, nodeType: nodeType, rootPath: root))
      try NodeCheckCommand.show(check, context)
    }
  }
}
