import Dispatch
import Domain
import ObjectStorage
import Synchronization

/// The pieces of one plan that this node can hand to others.
final class Shelf: Sendable {
  private struct State {
    var folder: PartialFolder?
    var pieces: Set<Int> = []
    var waiting: [DispatchSemaphore] = []
  }

  private let state = Mutex(State())

  /// From now on pieces are read from `folder`, and these are there.
  func opens(_ folder: PartialFolder, pieces: [Int]) {
    change { state in
      state.folder = folder
      state.pieces.formUnion(pieces)
    }
  }

  /// A piece was written.
  func add(_ piece: Int) { change { $0.pieces.insert(piece) } }

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

  /// The bytes of a piece, waited for on this thread; nil where it did not come in time, or cannot be read.
  func bytes(_ piece: Int, until limit: BootInstant) -> [UInt8]? {
    while true {
      let signal = DispatchSemaphore(value: 0)
      let folder: PartialFolder? = state.withLock { state in
        guard state.pieces.contains(piece), let folder = state.folder, folder.plan.pieces.indices.contains(piece) else {
          state.waiting.append(signal)
          return nil
        }
        return folder
      }
      // Published in this moment, perhaps: the peer asks again.
      if let folder { return try? folder.read(piece) }
      let left = (limit - .now()).seconds
      guard left > 0, signal.wait(timeout: .now() + left) == .success else {
        state.withLock { $0.waiting.removeAll { $0 === signal } }
        return nil
      }
    }
  }
}
