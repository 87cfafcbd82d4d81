internal import Domain
internal import Yams

/// Reads which image the ranks run in, and whether that goes with the rest of the file.
struct ContainerReader {
  let top: Section

  /// Nil where the file names none, or not rightly; then the log knows.
  func spec(kind: LauncherSpec.Kind) -> ContainerSpec? {
    guard let section = top.section("container", .container) else { return nil }
    if let mark = (top.node("requirements") ?? top.node("setup"))?.mark {
      top.log.add("container: an image has what it needs: leave out requirements and setup", at: mark)
    }
    if kind == .mpi {
      top.log.add(
        "container: not supported with launcher.kind: mpi, whose daemons are the node's", at: section.mark)
    }
    guard section.node("image") != nil else {
      top.log.add("container.image is missing: say which image, as podman or apptainer calls it", at: section.mark)
      return nil
    }
    guard let image = section.word("image") else { return nil }
    if image.hasPrefix("-") || image.contains(" ") {
      top.log.add("container.image: '\(image)' is no name of an image", at: section.node("image")?.mark)
    }
    return ContainerSpec(image: image, runtime: runtime(section, image))
  }

  /// Apptainer's own files are run by it, all else by podman, unless somebody says otherwise.
  private func runtime(_ section: Section, _ image: String) -> ContainerSpec.Runtime {
    guard let node = section.node("runtime") else { return image.hasSuffix(".sif") ? .apptainer : .podman }
    guard let word = section.word("runtime") else { return .podman }
    if let runtime = ContainerSpec.Runtime(rawValue: word) { return runtime }
    let others = ["docker": "podman", "singularity": "apptainer"]
    let known = ContainerSpec.Runtime.allCases.map(\.rawValue)
    let hint = (others[word.lowercased()] ?? closest(to: word, among: known)).map { ": did you mean '\($0)'?" }
    section.log.add(
      "container.runtime: unknown runtime '\(word)'\(hint ?? "") (known: \(known.joined(separator: ", ")))",
      at: node.mark)
    return .podman
  }
}
