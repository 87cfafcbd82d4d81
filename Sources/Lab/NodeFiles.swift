import Glibc

/// What is written for one node: keys, sshd's settings, the script it boots with, its stand-in `nvidia-smi`.
struct NodeFiles: Sendable {
  let record: LabRecord
  let node: LabRecord.Node
  let layout: NodeLayout
  let authorizedKey: String

  /// Writes everything that is not there or may have changed.
  ///
  /// The host key, once made, stays.
  func write() async throws {
    for folder in [layout.folder, layout.programs, layout.etc] { try Files.makeFolder(folder) }
    try Files.write(authorizedKey, to: layout.authorizedKeys, mode: 0o600)
    if !Files.exists(layout.hostPublicKey) { try await Keys.make(layout.hostKey, comment: "lab host \(node.name)") }
    try Files.write(try serverConfiguration(), to: layout.serverConfiguration)
    try Files.write(standIn, to: layout.standIn, mode: 0o755)
    guard record.isolation == .namespaces else { return }
    try Files.write(try bootScript(), to: layout.bootScript, mode: 0o755)
    for (name, text) in try accounts() { try Files.write(text, to: "\(layout.etc)/\(name)") }
  }

  private func serverConfiguration() throws(LabError) -> String {
    let user = try Account.current()
    let environment =
      [
        "PATH=\(layout.programs):\(record.settings.programs.binFolder):/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME=\(layout.home)", "TMPDIR=\(layout.scratch)", "BATON_NODE_ROOT=\(layout.disk)",
      ] + record.environment(ofNode: node.name).map { "\($0.key)=\($0.value)" }.sorted()
    // sshd takes the first SetEnv line only.
    return """
      ListenAddress \(node.address)
      Port \(node.port)
      HostKey \(layout.hostKey)
      PidFile \(layout.pidFile)
      AuthorizedKeysFile \(layout.authorizedKeys)
      AllowUsers \(user.name)
      PermitRootLogin prohibit-password
      AuthenticationMethods publickey
      PasswordAuthentication no
      KbdInteractiveAuthentication no
      UsePAM no
      StrictModes no
      UseDNS no
      PrintMotd no
      PrintLastLog no
      MaxStartups 100:30:200
      MaxSessions 10
      Subsystem sftp internal-sftp
      SetEnv \(environment.map { "\"\($0)\"" }.joined(separator: " "))

      """
  }

  /// Process 1 of a node with namespaces.
  ///
  /// It adopts and buries orphans, and starts sshd whenever it gets SIGUSR1.
  private func bootScript() throws(LabError) -> String {
    let server = try Programs.find("sshd", package: "openssh-server")
    return """
      #!/bin/sh
      # Boots lab node \(node.name). Written by Baton; runs as process 1 of the node's own namespaces.
      set -eu
      hostname \(node.name)
      # The disks of other nodes are none of this node's business, and must go when their node is wiped.
      mounts=$(cat /proc/mounts)
      while read -r source target rest; do
        case $source:$target in
          baton-lab-*:* | /dev/loop*:*/nodes/n*/disk) [ "$target" = \(layout.disk) ] || umount -l "$target" || : ;;
        esac
      done <<EOF
      $mounts
      EOF
      mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /dev/shm
      for name in passwd shadow hosts; do
        [ ! -e /etc/$name ] || mount --bind \(layout.etc)/$name /etc/$name
      done
      listen() { \(server) -f \(layout.serverConfiguration) -E \(layout.log); }
      trap listen USR1
      listen
      set +e
      sleep infinity &
      keeper=$!
      # A trap ends the wait early. Waiting for any child reaps adopted ones too.
      while kill -0 $keeper; do wait $keeper; done

      """
  }

  /// Account and host files that the node sees in place of the machine's.
  private func accounts() throws(LabError) -> [(String, String)] {
    let user = try Account.current()
    let lines = (Files.text("/etc/passwd") ?? "").split(separator: "\n").map { line in
      guard line.hasPrefix("\(user.name):") else { return String(line) }
      // With a home of its own on its own disk, a node starts its users where a real one does.
      return "\(user.name):x:\(user.id):\(user.group):lab user:\(layout.home):\(user.shell)"
    }
    let hosts = record.nodes.map { "\($0.address) \($0.name)\n" }.joined()
    return [
      ("passwd", lines.joined(separator: "\n") + "\n"),
      // A star is no password. Some systems lock root, and sshd refuses a locked user his key as well.
      ("shadow", "\(user.name):*:19000:0:99999:7:::\n"),
      ("hosts", "127.0.0.1 localhost\n::1 localhost\n" + hosts),
    ]
  }

  /// A program that answers as `nvidia-smi` does, and says of every device that none is there.
  private var standIn: String {
    let uuids = (0..<record.settings.gpusPerNode).map { "GPU-standin-\(record.id)-\(node.name)-\($0)" }
    return """
      #!/bin/sh
      # Stand-in for nvidia-smi on lab node \(node.name): reports devices that do not exist. Written by Baton.
      uuids='\(uuids.joined(separator: " "))'
      name='Baton stand-in GPU (no device)'
      query= format= list=
      for argument; do
        case $argument in
          --query-gpu=*) query=${argument#*=} ;;
          --format=*) format=${argument#*=} ;;
          -L | --list-gpus) list=yes ;;
          *) echo "stand-in nvidia-smi: '$argument' is not supported" >&2; exit 2 ;;
        esac
      done
      field() {
        case $1 in
          index) echo "$2" ;; name | gpu_name) echo "$name" ;; uuid | gpu_uuid) echo "$3" ;;
          memory.total | memory.free) echo "16384$mib" ;; memory.used) echo "0$mib" ;;
          utilization.gpu) echo "0$percent" ;; temperature.gpu) echo 30 ;;
          driver_version) echo 0.0-stand-in ;; compute_cap) echo 0.0 ;; count) set -- $uuids; echo $# ;;
          *) echo "Field \\"$1\\" is not a valid field to query." >&2; exit 2 ;;
        esac
      }
      case ,$format, in *,nounits,*) mib= percent= ;; *) mib=' MiB' percent=' %' ;; esac
      index=0
      if [ -n "$query" ]; then
        case ,$format, in *,noheader,*) ;; *) echo "$query" | sed 's/,/, /g' ;; esac
        for uuid in $uuids; do
          line=
          for asked in $(echo "$query" | tr ',' ' '); do
            value=$(field "$asked" $index "$uuid") || exit 2
            line="${line:+$line, }$value"
          done
          echo "$line"
          index=$((index + 1))
        done
      else
        [ -n "$list" ] || echo "Stand-in nvidia-smi of a Baton lab: none of these devices exists"
        for uuid in $uuids; do
          echo "GPU $index: $name (UUID: $uuid)"
          index=$((index + 1))
        done
      fi

      """
  }
}

/// SSH keys, made by OpenSSH itself.
enum Keys {
  /// Makes an ed25519 pair without a passphrase at `path`, in place of one that is there.
  static func make(_ path: String, comment: String) async throws {
    try Files.remove(path)
    try Files.remove(path + ".pub")
    let program = try Programs.find("ssh-keygen", package: "openssh-client")
    try await Command(program, ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]).checked()
  }

  /// Type and key of a public key file, without the comment.
  static func publicKey(_ path: String) throws(LabError) -> String {
    let fields = (Files.text(path) ?? "").split(whereSeparator: \.isWhitespace)
    guard fields.count >= 2 else { throw LabError(.systemCall, "\(path) holds no public key") }
    return "\(fields[0]) \(fields[1])"
  }
}

/// The user that the lab, and so every session on its nodes, runs as.
struct Account: Sendable {
  var name: String
  var id: uid_t
  var group: gid_t
  var shell: String

  static func current() throws(LabError) -> Account {
    guard let entry = getpwuid(getuid())?.pointee, let name = entry.pw_name else {
      throw LabError(.unsupported, "user \(getuid()) has no account here", advice: "sshd needs one to let you in")
    }
    let shell = entry.pw_shell.map { String(cString: $0) } ?? "/bin/sh"
    return Account(name: String(cString: name), id: entry.pw_uid, group: entry.pw_gid, shell: shell)
  }
}
