import CLinux
import Domain
import Glibc
import ObjectStorage
import Wire

/// Finds out what stands around the ranks: `baton-agent inventory PARENT IMAGE WORD...`, with their command and environment,
/// and as JSON the image that they run in (`ContainerSpec`), `null` for none.
///
/// A process of its own beside them, with nobody's patience: a line of JSON (`NodeEnvironment`) for each look, on descriptor 3,
/// as soon as it is known, the cheap ones first. What cannot be found out is left out, and nothing it finds is the value of
/// a variable.
struct Inventory {
  var command: [String]
  var environment: [String: String]
  var container: ContainerSpec?

  /// The verb.
  static func run(_ words: [String]) -> Int32 {
    guard let parent = words.first.flatMap({ Int32($0) }), dieWithParent(parent) else { return 1 }
    LowPriority.take()
    var environment: [String: String] = [:]
    for text in ((try? Disk.readAll("/proc/self/environ")) ?? []).split(separator: 0) {
      let parts = String(decoding: text, as: UTF8.self).split(
        separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { environment[String(parts[0])] = String(parts[1]) }
    }
    var inventory = Inventory(command: Array(words.dropFirst(2)), environment: environment)
    inventory.container = words.dropFirst().first.flatMap { try? Codec.decode(ContainerSpec?.self, Array($0.utf8)) }
    let pipe = Descriptor(owning: 3)
    for look in [inventory.machine, inventory.python, inventory.graphics, inventory.tools, inventory.image] {
      do {
        try Disk.write(try Codec.line(look()), to: pipe, path: "the supervisor's pipe")
      } catch {
        return 1
      }
    }
    return 0
  }

  /// How long one look may take: on a node whose processors are all taken it takes long.
  private static let patience = TimeSpan.seconds(60)

  private func ask(_ command: [String]) -> String? { Probe.ask(command, environment, patience: Self.patience) }

  private var path: String { environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin" }

  /// Kernel, system, processor, memory, the links of the network.
  private func machine() -> NodeEnvironment {
    var facts = ["kernel": Probe.text("/proc/sys/kernel/osrelease"), "glibc": String(cString: gnu_get_libc_version())]
    facts["os"] = Probe.osName()
    facts["cpu"] = Self.processor(of: Self.lines("/proc/cpuinfo"))
    facts["cores"] = "\(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))"
    facts["memory"] = "\(Probe.memory())"
    facts["links"] = Self.links()
    facts["blas"] = Self.systemBLAS()
    return NodeEnvironment(facts: facts.compactMapValues { $0.isEmpty ? nil : $0 })
  }

  /// GPUs, driver, CUDA, and how the GPUs are linked.
  private func graphics() -> NodeEnvironment {
    var facts: [String: String] = [:]
    let gpus = Probe.gpus(environment, patience: Self.patience)
    if !gpus.found.isEmpty { facts["gpus"] = Self.counted(gpus.found.map(\.name)) }
    facts["nvidia-driver"] = gpus.driver
    if !gpus.found.isEmpty, let text = ask(["nvidia-smi"]) {
      facts["cuda"] = Self.word(after: "CUDA Version:", in: text)
    }
    if gpus.found.count > 1, let text = ask(["nvidia-smi", "topo", "-m"]) {
      facts["gpu-links"] = Self.gpuLinks(of: text)
    }
    return NodeEnvironment(facts: facts)
  }

  /// What starts ranks of MPI programs.
  private func tools() -> NodeEnvironment {
    guard let text = ask(["mpirun", "--version"]) else { return NodeEnvironment() }
    let line = text.split(separator: "\n").first.map(String.init) ?? ""
    return NodeEnvironment(facts: line.isEmpty ? [:] : ["mpirun": line])
  }

  // MARK: The image

  /// How long it is looked for again: it may be pulled at this moment, for the first rank.
  private static let imagePatience = TimeSpan.seconds(240)

  /// The image by what it is, since its name may mean another one tomorrow.
  private func image() -> NodeEnvironment {
    guard let container else { return NodeEnvironment() }
    var facts = ["image": container.image]
    switch container.runtime {
    case .podman:
      let limit = BootInstant.now() + Self.imagePatience
      while true {
        let text = ask(["podman", "image", "inspect", "--format", "{{.ID}} {{.Digest}}", container.image])
        if let found = text.map(Self.podmanImage), !found.isEmpty {
          facts.merge(found) { $1 }
          break
        }
        guard BootInstant.now() < limit else { break }
        _ = waitReadable([], until: .now() + .seconds(2))
      }
    case .apptainer:
      // What is no file is fetched by apptainer, and its name is all there is.
      _ = baton_set_io_idle(1)
      if Disk.status(container.image)?.isFile == true, let found = try? ContentHash.of(file: container.image) {
        facts["image-sha256"] = found.sha256
      }
    }
    return NodeEnvironment(facts: facts)
  }

  /// `ID DIGEST`, as podman tells both; an image that was built here and never pushed may have no digest.
  static func podmanImage(_ text: String) -> [String: String] {
    let words = text.split { $0.isWhitespace }.map(String.init)
    guard let id = words.first, id.count == 64, id.allSatisfy(\.isHexDigit) else { return [:] }
    var facts = ["image-id": id]
    if words.count > 1, words[1].hasPrefix("sha256:") { facts["image-digest"] = words[1] }
    return facts
  }

  // MARK: Python

  /// What the program's Python sees; `importlib.metadata` tells what `pip freeze` does, without starting pip.
  ///
  /// Nothing of one that is in an image: the node's own is another one.
  private func python() -> NodeEnvironment {
    guard container == nil else { return NodeEnvironment() }
    guard let python = Self.python(of: command, path: path) else { return NodeEnvironment() }
    guard let text = ask([python, "-c", Self.script]),
      let line = text.split(separator: "\n").last(where: { $0.hasPrefix(Self.mark) }),
      let found = try? Codec.decode(NodeEnvironment.self, Array(line.dropFirst(Self.mark.count).utf8))
    else { return NodeEnvironment() }
    return found
  }

  private static let mark = "baton-inventory:"

  /// Imports nothing of the program's: numpy and torch are looked at from outside.
  private static let script = """
    import sys
    sys.path = [p for p in sys.path if p not in ("", "/")]
    import glob, json, os, re
    import importlib.util as util
    facts = {"python": "%d.%d.%d" % sys.version_info[:3], "python-program": sys.executable}
    packages = {}
    try:
        from importlib import metadata
        for one in metadata.distributions():
            name = one.metadata["Name"]
            if name and name not in packages:
                packages[name] = str(one.version)
    except Exception:
        pass
    def place(name):
        try:
            spec = util.find_spec(name)
            return os.path.dirname(spec.origin) if spec and spec.origin else None
        except Exception:
            return None
    numpy = place("numpy")
    if numpy:
        own = glob.glob(os.path.join(os.path.dirname(numpy), "numpy.libs", "*blas*"))
        own += glob.glob(os.path.join(os.path.dirname(numpy), "numpy.libs", "*mkl*"))
        if own:
            facts["blas"] = os.path.basename(sorted(own)[0])
    torch = place("torch")
    if torch:
        try:
            text = open(os.path.join(torch, "version.py")).read()
            for key, name in (("cuda", "torch-cuda"), ("hip", "torch-hip")):
                found = re.search(key + r"[^=\\n]*=\\s*['\\"]([^'\\"]+)", text)
                if found:
                    facts[name] = found.group(1)
        except Exception:
            pass
    print()
    print("\(mark)" + json.dumps({"facts": facts, "packages": packages}))
    """

  /// The Python that a command runs: a word of it that is one, else what the first line of its program names.
  static func python(of command: [String], path: String) -> String? {
    func isPython(_ word: String) -> Bool {
      let name = word.split(separator: "/").last ?? ""
      return name.hasPrefix("python") && name.dropFirst(6).allSatisfy { $0.isNumber || $0 == "." }
    }
    if let word = command.first(where: { isPython($0) }) { return word }
    guard let program = command.first,
      case .success(let file) = RankEnvironment.findProgram(program, path: path, work: "."),
      let head = try? Disk.open(file, O_RDONLY),
      let bytes = try? Disk.read(head, at: 0, limit: 256, path: file), bytes.starts(with: Array("#!".utf8))
    else { return nil }
    let line = String(decoding: bytes.dropFirst(2).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    return line.split(separator: " ").map(String.init).first(where: isPython)
  }

  // MARK: Reading

  private static func lines(_ path: String) -> [Substring] {
    String(decoding: (try? Disk.readAll(path)) ?? [], as: UTF8.self).split(separator: "\n")
  }

  /// `AMD EPYC 7763 64-Core Processor`.
  static func processor(of cpuinfo: [Substring]) -> String? {
    for key in ["model name", "Model", "cpu model", "CPU part"] {
      guard let line = cpuinfo.first(where: { $0.hasPrefix(key) }), let colon = line.firstIndex(of: ":") else {
        continue
      }
      return String(line[line.index(after: colon)...].drop { $0 == " " })
    }
    return nil
  }

  /// Names and speeds of the network's links that are up, where the kernel knows a speed.
  private static func links() -> String {
    let names = ((try? Disk.names(in: "/sys/class/net")) ?? []).filter { $0 != "lo" }.sorted()
    return names.compactMap { name in
      guard Probe.text("/sys/class/net/\(name)/operstate") == "up",
        let speed = Int(Probe.text("/sys/class/net/\(name)/speed")), speed > 0
      else { return nil }
      return "\(name) \(speed) Mb/s"
    }.joined(separator: ", ")
  }

  /// Which library stands behind Debian's `libblas.so.3`.
  private static func systemBLAS() -> String? {
    for folder in ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"] {
      guard let resolved = realpath("\(folder)/libblas.so.3", nil) else { continue }
      defer { free(resolved) }
      return String(cString: resolved)
    }
    return nil
  }

  private static func counted(_ names: [String]) -> String {
    var counts: [(name: String, count: Int)] = []
    for name in names {
      if counts.last?.name == name { counts[counts.count - 1].count += 1 } else { counts.append((name, 1)) }
    }
    return counts.map { "\($0.count) x \($0.name)" }.joined(separator: ", ")
  }

  private static func word(after label: String, in text: String) -> String? {
    guard let line = text.split(separator: "\n").first(where: { $0.contains(label) }),
      let range = line.firstRange(of: label)
    else { return nil }
    return line[range.upperBound...].split(separator: " ").first.map(String.init)
  }

  /// `GPU0-GPU1 NV12, ...` of what `nvidia-smi topo -m` draws, each pair once.
  static func gpuLinks(of matrix: String) -> String? {
    let rows = matrix.split(separator: "\n").map { $0.split { $0 == "\t" || $0 == " " }.map(String.init) }
    let names = rows.first?.filter { $0.hasPrefix("GPU") } ?? []
    var pairs: [String] = []
    for row in rows.dropFirst() where row.first?.hasPrefix("GPU") == true {
      guard let place = names.firstIndex(of: row[0]) else { continue }
      for (other, link) in zip(names, row.dropFirst()).dropFirst(place + 1) {
        pairs.append("\(row[0])-\(other) \(link)")
      }
    }
    return pairs.isEmpty ? nil : pairs.joined(separator: ", ")
  }
}
