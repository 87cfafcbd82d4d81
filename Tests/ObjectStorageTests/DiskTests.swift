import Foundation
import Glibc
import ObjectStorage
import Testing

@Suite struct DiskTests {
  /// What programs leave on a node: a name in Latin-1, read-only folders, a link to what must stay.
  @Test func removesWhatProgramsLeaveBehind() throws {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("baton-disk-\(UUID().uuidString)").path
    try Disk.makeFolders(root + "/tree/module/cache")
    try Disk.makeFolders(root + "/kept")
    let latin1 = Array((root + "/tree/module/caf").utf8).map { CChar(bitPattern: $0) } + [CChar(bitPattern: 0xE9), 0]
    for name in [
      latin1, Array((root + "/tree/module/cache/file").utf8CString), Array((root + "/kept/file").utf8CString),
    ] {
      let file = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
      try #require(file >= 0)
      close(file)
    }
    try #require(symlink(root + "/kept", root + "/tree/link") == 0)
    try #require(chmod(root + "/tree/module/cache", 0o500) == 0 && chmod(root + "/tree/module", 0o000) == 0)

    try Disk.removeTree(root + "/tree")
    #expect(try Disk.names(in: root) == ["kept"])
    #expect(try Disk.names(in: root + "/kept") == ["file"])
    try Disk.removeTree(root + "/tree")
    try Disk.removeTree(root + "/kept/file/below")
    try Disk.removeTree(root)
  }
}
