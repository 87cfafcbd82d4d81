/// How Open MPI is made to start ranks where Baton wants them, without a remote shell and without ranks of its own.
///
/// `mpirun` on the first node reckons who is where, and wants a daemon (`orted`) on every other node and the ranks below
/// its daemons. It gets the daemons by a program in the place of `ssh`, and a stand-in for each rank, whose variables the
/// supervisor gives to the rank that it starts itself.
public enum OpenMPI {
  /// What is asked of `mpirun` on the first of `nodes`: so many ranks on each, node by node.
  ///
  /// The program that it names is never run: a stand-in is, in its place.
  static func mpirun(nodes: [String], processesPerNode: Int) -> [String] {
    [
      "mpirun", "--host", nodes.map { "\($0):\(processesPerNode)" }.joined(separator: ","), "-np",
      "\(nodes.count * processesPerNode)", "--map-by", "slot", "--bind-to", "none", "/bin/true",
    ]
  }

  /// What `mpirun` and its daemons have to know on a node; `session` is a folder of this attempt alone, there.
  ///
  /// `session` has no space in it: Open MPI takes what it is told for words of a command.
  public static func daemonVariables(session: String) -> [String: String] {
    [
      // One way to start daemons, whatever else the machine offers; and all of them by mpirun itself.
      "OMPI_MCA_plm": "rsh", "OMPI_MCA_plm_rsh_agent": "\(session)/baton-agent mpi-daemon \(session)",
      "OMPI_MCA_plm_rsh_no_tree_spawn": "1",
      // What holds for one node is not to be told to the daemons of others.
      "OMPI_MCA_plm_rsh_pass_environ_mca_params": "0",
      // A daemon that left its parent would be an orphan whose end nobody hears of.
      "OMPI_MCA_orte_leave_session_attached": "1",
      "OMPI_MCA_orte_fork_agent": "\(session)/baton-agent mpi-rank \(session)",
      "OMPI_MCA_orte_tmpdir_base": session,
      // Whoever may run the agent may run this.
      "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    ]
  }

  /// What ranks have to know on a node, beside what their daemon tells them.
  ///
  /// Their shared memory is in `session`, so that it goes with the attempt, whatever way that ends.
  public static func rankVariables(session: String) -> [String: String] {
    [
      "OMPI_MCA_btl_vader_backing_directory": session, "OMPI_MCA_btl_sm_backing_directory": session,
      "OMPI_MCA_orte_tmpdir_base": session,
    ]
  }

  /// Whether a daemon tells its ranks by the variable `name`.
  public static func isFromDaemon(_ name: String) -> Bool {
    ["OMPI_", "PMIX_", "PMI_", "ORTE_"].contains { name.hasPrefix($0) }
  }

  /// The command of a daemon, from what `mpirun` would have a remote shell do; nil where there is no daemon in it.
  ///
  /// Settings of the shell before the daemon's name are left out, since variables are the job file's. The daemon is to
  /// stay where it was started.
  public static func daemonCommand(_ shellText: String) -> [String]? {
    let words = shellWords(shellText)
    guard let start = words.firstIndex(where: isDaemon) else { return nil }
    return words[start...].prefix { $0 != ")" && $0 != ";" }.filter { $0 != "--daemonize" && $0 != "--tree-spawn" }
  }

  /// Whether `word` names a daemon of Open MPI.
  public static func isDaemon(_ word: String) -> Bool {
    ["orted", "prted"].contains(word.split(separator: "/").last.map(String.init) ?? "")
  }

  /// `text` cut where a shell would cut it: blanks, both kinds of quotes, and backslashes.
  private static func shellWords(_ text: String) -> [String] {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var isEscaped = false
    for character in text {
      if isEscaped {
        word = (word ?? "") + String(character)
        isEscaped = false
      } else if character == "\\", quote != "'" {
        isEscaped = true
      } else if let open = quote {
        if character == open { quote = nil } else { word = (word ?? "") + String(character) }
      } else if character == "\"" || character == "'" {
        quote = character
        word = word ?? ""
      } else if character.isWhitespace {
        if let done = word { words.append(done) }
        word = nil
      } else {
        word = (word ?? "") + String(character)
      }
    }
    return words + (word.map { [$0] } ?? [])
  }
}

extension LauncherSpec {
  /// `mpirun`, on the first node.
  func mpiHelpers(on share: NodeShare, _ rendezvous: Rendezvous) -> [HelperLaunch] {
    guard share.nodeRank == 0 else { return [] }
    return [
      HelperLaunch(
        name: "mpirun", ending: .byItself,
        command: OpenMPI.mpirun(nodes: rendezvous.nodeAddresses, processesPerNode: processesPerNode),
        defaults: defaults(on: share), variables: ["CUDA_VISIBLE_DEVICES": ""])
    ]
  }

  /// The daemon that `mpirun` wants on the node of `share`.
  public func mpiDaemon(_ command: [String], on share: NodeShare) -> HelperLaunch {
    HelperLaunch(
      name: "orted", ending: .byItself, command: command, defaults: defaults(on: share),
      variables: ["CUDA_VISIBLE_DEVICES": ""])
  }
}
