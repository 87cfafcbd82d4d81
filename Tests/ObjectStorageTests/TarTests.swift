import Domain
import Foundation
import ObjectStorage
import Testing

/// What we write, the system's `tar` reads, and the other way round.
@Suite(.timeLimit(.minutes(2)))
struct TarTests {
  private static let names = [
    "a", "folder/b.jpg", "folder/b.cls", "ünï/çödé", String(repeating: "x", count: 100),
    String(repeating: "d", count: 90) + "/" + String(repeating: "f", count: 90),
    String(repeating: "d", count: 120) + "/" + String(repeating: "e", count: 120) + "/"
      + String(repeating: "n", count: 99),
    String(repeating: "long", count: 50), "white space/and 'quotes'",
  ]

  private static let files: [String: [UInt8]] = Dictionary(
    uniqueKeysWithValues: names.enumerated().map { index, name in
      (name, (0..<(index * 401)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ index) })
    })

  private func with(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("baton-tar-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let result = Result { try body(folder) }
    try FileManager.default.removeItem(atPath: folder)
    try result.get()
  }

  private func tar(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["tar"] + arguments
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "tar \(arguments)")
  }

  private func members(_ bytes: [UInt8]) throws -> [TarReader.Member] {
    var reader = TarReader(length: Int64(bytes.count))
    var found: [TarReader.Member] = []
    while true {
      switch try reader.next() {
      case .read(let range): try reader.take(Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)]))
      case .member(let member): found.append(member)
      case .end: return found
      }
    }
  }

  private func written() -> [UInt8] {
    var bytes: [UInt8] = []
    for (name, content) in Self.files.sorted(by: { $0.key < $1.key }) {
      bytes += Tar.header(path: name, size: Int64(content.count)) + content
      bytes += Tar.padding(after: Int64(content.count))
    }
    return bytes + Tar.end
  }

  @Test func tarReadsWhatWeWrite() throws {
    try with { folder in
      try Data(written()).write(to: URL(fileURLWithPath: folder + "/ours.tar"))
      try FileManager.default.createDirectory(atPath: folder + "/out", withIntermediateDirectories: true)
      try tar(["-xf", folder + "/ours.tar", "-C", folder + "/out"])
      for (name, content) in Self.files {
        let found = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/out/\(name)"))
        #expect(found == Data(content), "\(name)")
      }
    }
  }

  @Test(arguments: ["gnu", "ustar", "pax", "posix"])
  func readsWhatTarWrites(format: String) throws {
    try with { folder in
      // USTAR cannot hold the longest names.
      let files = Self.files.filter { format != "ustar" || $0.key.utf8.count < 100 }
      for (name, content) in files {
        let url = URL(fileURLWithPath: "\(folder)/in/\(name)")
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(content).write(to: url)
      }
      try tar(["-cf", folder + "/theirs.tar", "--format=\(format)", "-C", folder + "/in", "."])
      let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: folder + "/theirs.tar")))
      let found = try members(bytes)
      #expect(Set(found.map(\.path)) == Set(files.keys))
      for member in found {
        let content = Array(bytes[Int(member.offset)..<Int(member.offset + member.size)])
        #expect(content == files[member.path], "\(member.path)")
      }
    }
  }

  @Test func readsWhatItWrites() throws {
    let found = try members(written())
    #expect(found.map(\.path) == Self.files.keys.sorted())
  }

  @Test func holdsSizesThatNeedAnExtendedHeader() throws {
    let size = Int64(20) << 30
    let header = Tar.header(path: "huge", size: size)
    #expect(header.count == 3 * Tar.blockSize)
    var reader = TarReader(length: Int64(header.count) + size)
    var offset = 0
    while case .read(let range) = try reader.next() {
      try reader.take(Array(header[offset..<offset + range.count]))
      offset = Int(range.upperBound) < header.count ? (offset + range.count + 511) / 512 * 512 : header.count
      if offset == header.count { break }
    }
    guard case .member(let member) = try reader.next() else {
      Issue.record("no member")
      return
    }
    #expect(member.size == size && member.path == "huge" && member.offset == Int64(header.count))
  }

  @Test func refusesWhatIsNoTar() throws {
    #expect(throws: TarReader.Fault.self) { try members([UInt8](repeating: 7, count: 1024)) }
    #expect(throws: TarReader.Fault.self) { try members(Array(written().dropLast(2000))) }
    var link = Tar.header(path: "a", size: 0)
    link[156] = UInt8(ascii: "2")
    let sum = link.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
    let digits = Array(String(sum, radix: 8).utf8)
    link.replaceSubrange(148..<154, with: [UInt8](repeating: 48, count: 6 - digits.count) + digits)
    #expect(throws: TarReader.Fault.self) { try members(link + Tar.end) }
  }

  @Test func anIndexComesBackAndBadOnesAreRefused() {
    let hash = String(repeating: "a", count: 64)
    let index = ShardIndex(members: [
      .init(file: ManifestEntry(path: "a b/c", size: 5, sha256: hash), offset: 512),
      .init(file: ManifestEntry(path: "d", size: 0, sha256: hash), offset: 1536),
    ])
    #expect(ShardIndex(parsing: index.text) == index)
    #expect(ShardIndex(parsing: "\(hash) 5 512 ../x\n") == nil)
    #expect(ShardIndex(parsing: "\(hash) 600 0 a\n\(hash) 5 512 b\n") == nil)
    #expect(ShardIndex(parsing: "\(hash) 9223372036854775807 1 a\n") == nil)
    #expect(ShardIndex(parsing: "\(hash) five 0 a\n") == nil)
  }
}
