import CLinux
import Glibc

extension Disk {
  /// Appends `range` of a file, or what of it there is, to another one, in the kernel; gives how many bytes came over.
  ///
  /// Fewer also where the two file systems cannot: the rest is to be read and written.
  package static func copy(
    _ source: borrowing Descriptor, _ range: Range<Int64>, to file: borrowing Descriptor, path: String
  ) throws(SystemError) -> Int64 {
    var offset = Int(range.lowerBound)
    while offset < range.upperBound {
      let got = copy_file_range(source.raw, &offset, file.raw, nil, min(1 << 24, Int(range.upperBound) - offset), 0)
      if got == 0 { break }
      if got > 0 || errno == EINTR { continue }
      guard [EXDEV, EINVAL, ENOSYS, EOPNOTSUPP, EPERM].contains(errno) else {
        throw SystemError("cannot write", path, errno: errno)
      }
      break
    }
    return Int64(offset) - range.lowerBound
  }
}
