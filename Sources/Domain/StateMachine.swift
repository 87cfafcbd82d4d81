/// A set of named states with a fixed table of moves between them.
///
/// The table is the law for the whole program: the database's guarded updates are written from it, and a test walks it.
public protocol StateMachine: Hashable, Sendable, CaseIterable, RawRepresentable where RawValue == String {
  /// The states that can follow this one directly; empty for a final state.
  var successors: Set<Self> { get }
}

extension StateMachine {
  /// Whether nothing follows.
  public var isFinal: Bool { successors.isEmpty }

  /// Whether `next` may follow directly.
  public func canBecome(_ next: Self) -> Bool { successors.contains(next) }

  /// The states from which `self` can be reached directly: what the WHERE of an update to it has to name.
  public var predecessors: [Self] { Self.allCases.filter { $0.canBecome(self) } }
}
