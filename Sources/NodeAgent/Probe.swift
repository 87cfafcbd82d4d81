import CLinux
import Domain
import Glibc
import ObjectStorage
import Wire

/// Looks at the node; whatever cannot be found out is left out.
struct Probe {
  var node: NodeFolder

  func run() throws -> NodeReport {
    let room = try Disk.room(at: node.root)
    let gpus = Self.gpus()
    let holdings = try Replicas(node: node).all()
    return NodeReport(
      hostname: Self.text("/proc/sys/kernel/hostname"), bootID: ProcessTable.bootID(),
      cores: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))), memory: Self.memory(), diskTotal: ByteCount(room.total),
      diskFree: ByteCount(room.free), clock: .wallClock(), software: Self.software(driver: gpus.driver),
      gpus: gpus.found, replicas: holdings.filter { $0.isVerified && $0.mode == .copy }.map(\.contentID),
      holdings: holdings,
      // Which of them are in use nobody can say where a journal cannot be read; the rest of the report is worth as much.
      environments: try? Environments(node: node).all())
  }

  static func text(_ path: String) -> String {
    let bytes = (try? Disk.readAll(path)) ?? []
    return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }

  static func memory() -> ByteCount {
    let lines = String(decoding: (try? Disk.readAll("/proc/meminfo")) ?? [], as: UTF8.self).split(separator: "\n")
    let total = lines.first { $0.hasPrefix("MemTotal:") } ?? ""
    return ByteCount((Int64(total.filter { $0.isNumber }) ?? 0) * 1024)
  }

  private static func software(driver: String?) -> [String: String] {
    var found = ["kernel": text("/proc/sys/kernel/osrelease"), "glibc": String(cString: gnu_get_libc_version())]
    found["os"] = osName()
    if let python = ask(["python3", "--version"]) {
      found["python3"] = String(python.drop { !$0.isNumber }.prefix { !$0.isNewline })
    }
    if let driver { found["nvidia-driver"] = driver }
    return found
  }

  static func gpus(
    _ environment: [String: String]? = nil, patience: TimeSpan = .seconds(10)
  ) -> (found: [NodeReport.GPUReport], driver: String?) {
    let query = [
      "nvidia-smi", "--query-gpu=index,name,memory.total,uuid,driver_version", "--format=csv,noheader,nounits",
    ]
    guard let answer = ask(query, environment, patience: patience) else { return ([], nil) }
    return parse(nvidiaSMI: answer)
  }

  /// Reads `index, name, MiB, uuid, driver` a line; lines that are something else are passed over.
  static func parse(nvidiaSMI answer: String) -> (found: [NodeReport.GPUReport], driver: String?) {
    var found: [NodeReport.GPUReport] = []
    var driver: String?
    for line in answer.split(separator: "\n") {
      let fields = line.split(separator: ",", omittingEmptySubsequences: false).map { field in
        String(field.drop { $0 == " " })
      }
      guard fields.count >= 4, let index = Int(fields[0]), let memory = Int64(fields[2]) else { continue }
      found.append(
        NodeReport.GPUReport(index: index, name: fields[1], memory: .mebibytes(memory), uuid: fields[3]))
      if fields.count > 4 { driver = fields[4] }
    }
    return (found, driver)
  }

  /// What the system calls itself.
  static func osName() -> String? {
    let release = String(decoding: (try? Disk.readAll("/etc/os-release")) ?? [], as: UTF8.self)
    return release.split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") }
      .map { $0.dropFirst("PRETTY_NAME=".count).filter { $0 != "\"" } }
  }

  /// What a program says within `patience`; nil where it is missing, fails or hangs.
  ///
  /// It gets `environment`, or else nothing but this process's `PATH`.
  static func ask(
    _ command: [String], _ environment: [String: String]? = nil, patience: TimeSpan = .seconds(10)
  ) -> String? {
    let path =
      environment?["PATH"] ?? getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
    guard case .success(let program) = RankEnvironment.findProgram(command[0], path: path, work: "/") else {
      return nil
    }
    var ends: [Int32] = [0, 0]
    guard pipe2(&ends, O_CLOEXEC) == 0 else { return nil }
    let reader = Descriptor(owning: ends[0])
    // In this process's session: the kernel shares processors out by session, and who asks may be content with little.
    let spawn = Spawn(
      program: program, arguments: command, environment: environment ?? ["PATH": path], folder: "/",
      output: "/proc/\(getpid())/fd/\(ends[1])", extra: nil, leadsSession: false)
    let started = Result { () throws(SystemError) in try spawn.start() }
    close(ends[1])
    guard case .success(let pid) = started else { return nil }
    let limit = BootInstant.now() + patience
    var text: [UInt8] = []
    while waitReadable([reader.raw], until: limit)[0], let piece = try? Disk.readPipe(reader), !piece.isEmpty {
      text += piece
    }
    // After the end of its output it has little left to do; one that hangs is killed, with what it started.
    if BootInstant.now() >= limit { kill(-pid, SIGKILL) }
    var status: Int32 = 0
    guard waitpid(pid, &status, 0) == pid, ProcessEnd(status: status) == .exited(0) else { return nil }
    return String(decoding: text, as: UTF8.self)
  }
}
