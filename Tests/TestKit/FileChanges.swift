import Dispatch
import Foundation
import Glibc

/// Waits for what programs write, told by the kernel.
public enum FileChanges {
  /// Returns once `condition` holds; it is looked at now, and again after anything changes in `folders`.
  ///
  /// With `deep` all folders below count too. A folder need not exist yet. Throws what `condition` throws, and
  /// `CancellationError`.
  public static func until(
    in folders: [String], deep: Bool = false, _ condition: () async throws -> Bool
  ) async throws {
    let watch = try FolderWatch()
    defer { watch.end() }
    var changes = watch.changes.makeAsyncIterator()
    repeat {
      // Watched first and looked at then, so that no change falls in between.
      for folder in folders { watch.add(folder, deep: deep) }
      if try await condition() { return }
    } while await changes.next(isolation: #isolation) != nil
    throw CancellationError()
  }
}

/// An inotify whose changes are a stream; where other programs have taken all that a user may have, a clock that asks to
/// look again.
private struct FolderWatch {
  /// One element for any number of changes since the last.
  let changes: AsyncStream<Void>
  private let descriptor: Int32
  private let source: any DispatchSourceProtocol

  init() throws {
    descriptor = inotify_init1(Int32(O_CLOEXEC | O_NONBLOCK))
    guard descriptor >= 0 || errno == EMFILE else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    changes = stream
    guard descriptor >= 0 else {
      let clock = DispatchSource.makeTimerSource()
      clock.schedule(deadline: .now(), repeating: .milliseconds(50))
      clock.setEventHandler { continuation.yield() }
      clock.resume()
      source = clock
      return
    }
    let source = DispatchSource.makeReadSource(fileDescriptor: descriptor)
    source.setEventHandler { [descriptor] in
      // What changed is looked for anew each time: here it is only taken off the queue.
      var buffer = [UInt8](repeating: 0, count: 1 << 14)
      while read(descriptor, &buffer, buffer.count) > 0 {}
      continuation.yield()
    }
    source.setCancelHandler { [descriptor] in close(descriptor) }
    source.resume()
    self.source = source
  }

  /// Watches a folder, or the nearest one above it that exists; again is harmless.
  func add(_ folder: String, deep: Bool) {
    guard descriptor >= 0 else { return }
    let mask = IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_ONLYDIR
    var path = folder
    while inotify_add_watch(descriptor, path, UInt32(bitPattern: mask)) < 0, path.count > 1 {
      path = URL(fileURLWithPath: path).deletingLastPathComponent().path
    }
    guard deep, path == folder else { return }
    for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] {
      var status = stat()
      let entry = "\(path)/\(name)"
      if lstat(entry, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { add(entry, deep: true) }
    }
  }

  func end() { source.cancel() }
}
