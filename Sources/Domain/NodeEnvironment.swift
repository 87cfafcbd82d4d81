/// What stood around the ranks on a node, as far as it was found out: nodes that are alike have equal ones.
public struct NodeEnvironment: Hashable, Sendable, Codable {
  /// One thing each, by name: `kernel`, `cpu`, `nvidia-driver`, `python`, `blas`...
  public var facts: [String: String]
  /// Versions of the packages that the program's Python sees, by name, as `pip freeze` tells them; empty without a Python.
  public var packages: [String: String]

  /// An environment.
  public init(facts: [String: String] = [:], packages: [String: String] = [:]) {
    self.facts = facts
    self.packages = packages
  }

  /// Takes in what another look found.
  public mutating func add(_ other: NodeEnvironment) {
    facts.merge(other.facts) { $1 }
    packages.merge(other.packages) { $1 }
  }

  /// Sorted lines, the same for equal environments: what its id is the hash of.
  public var canonicalText: String {
    (facts.map { "fact \($0)=\($1)" }.sorted() + packages.map { "package \($0)=\($1)" }.sorted())
      .joined(separator: "\n")
  }
}
