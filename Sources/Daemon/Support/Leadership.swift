import Store
import Synchronization

/// Whether this process is the one that decides, and with which epoch.
final class Leadership: Sendable {
  private let current = Mutex<ControllerEpoch?>(nil)

  /// The epoch, nil while another process decides.
  var epoch: ControllerEpoch? { current.withLock { $0 } }

  func begin(_ epoch: ControllerEpoch) { current.withLock { $0 = epoch } }

  func end() { current.withLock { $0 = nil } }
}
