import Dispatch
import Domain
import ObjectStorage
import Synchronization

/// The pieces of one plan that this node can hand to others.
final class Shelf: Sendable {
  /// What is handed out.
  struct Given: Hashable, Sendable {
    var bytes: [UInt8]
    /// Whether this node had it from another one, and did not prove it: who gives it is not who is to blame.
    var isSecondHand: Bool
  }

  private struct State {
    var folder: PartialFolder?
    var pieces: Set<Int> = []
    var secondHand: Set<Int> = []
    var waiting: [DispatchSemaphore] = []
  }

  private let state = Mutex(State())

  /// From now on pieces are read from `folder`, and these are there.
  func opens(_ folder: PartialFolder, pieces: [Int]) {
    change { state in
      state.folder = folder
      state.pieces.formUnion(pieces)
      state.secondHand.subtract(pieces)
    }
  }

  /// A piece was written.
  func add(_ piece: Int, isSecondHand: Bool = false) {
    change { state in
      state.pieces.insert(piece)
      if isSecondHand { state.secondHand.insert(piece) } else { state.secondHand.remove(piece) }
    }
  }

  /// Pieces were found wrong.
  func remove(_ pieces: [Int]) { change { $0.pieces.subtract(pieces) } }

  private func change(_ body: (inout State) -> Void) {
    let waiting = state.withLock { state in
      body(&state)
      defer { state.waiting = [] }
      return state.waiting
    }
    for one in waiting { one.signal() }
  }

  /// A piece, waited for on this thread; nil where it did not come in time.
  ///
  /// One that cannot be read is waited for too: published in this moment, perhaps, or gone.
  func give(_ piece: Int, until limit: BootInstant) -> Given? {
    var unreadable: String?
    while true {
      let signal = DispatchSemaphore(value: 0)
      let found: (folder: PartialFolder, isSecondHand: Bool)? = state.withLock { state in
        guard state.pieces.contains(piece), let folder = state.folder, folder.path != unreadable,
          folder.plan.pieces.indices.contains(piece)
        else {
          state.waiting.append(signal)
          return nil
        }
        return (folder, state.secondHand.contains(piece))
      }
      if let found {
        do {
          return Given(bytes: try found.folder.read(piece), isSecondHand: found.isSecondHand)
        } catch {
          unreadable = found.folder.path
          continue
        }
      }
      let left = (limit - .now()).seconds
      guard left > 0, signal.wait(timeout: .now() + left) == .success else {
        state.withLock { $0.waiting.removeAll { $0 === signal } }
        return nil
      }
    }
  }
}

/// The shelves of an exchange, by plan.
final class Shelves: Sendable {
  private let shelves = Mutex<[[UInt8]: Shelf]>([:])

  /// Also one that nobody has put anything on: a peer may be ahead.
  func shelf(_ planID: [UInt8]) -> Shelf {
    shelves.withLock { shelves in
      if let shelf = shelves[planID] { return shelf }
      let shelf = Shelf()
      shelves[planID] = shelf
      return shelf
    }
  }

  /// Where pieces of `plan` are handed out.
  func shelf(for plan: TransferPlan) -> Shelf { shelf(PeerProtocol.bytes(hex: plan.id) ?? []) }
}
