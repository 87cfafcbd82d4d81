import Domain
import ObjectStorage

/// A file that a transfer brings, and where its bytes are.
struct TransferFile: Hashable, Sendable {
  /// A stretch of an object.
  struct Source: Hashable, Sendable {
    var key: String
    /// Where in the object it begins.
    var start: Int64 = 0
    var size: Int64
    /// What the store called this version of the object; nil where nobody knows.
    var tag: String?
    /// Whether it is all of the object.
    var isWhole = false
  }

  /// Below the folder of the transfer.
  var path: String
  var size: Int64
  /// What the content has to be; nil where only its length, and the version of its object, are known.
  var checksum: Checksum?
  /// In order; their lengths add up to `size`.
  var sources: [Source]

  /// A file that is one object, or with `start` a stretch inside of one.
  init(path: String, size: Int64, checksum: Checksum?, key: String, start: Int64 = 0, tag: String? = nil) {
    self.init(
      path: path, size: size, checksum: checksum,
      sources: size == 0 ? [] : [Source(key: key, start: start, size: size, tag: tag, isWhole: start == 0)])
  }

  /// A file that is put together from `sources`.
  init(path: String, size: Int64, checksum: Checksum?, sources: [Source]) {
    self.path = path
    self.size = size
    self.checksum = checksum?.isOfBytes == true ? checksum : nil
    self.sources = sources
  }
}

/// What a transfer has to bring, cut into pieces: the same on every node that has the same files to bring.
struct TransferPlan: Sendable {
  /// A stretch of a file that comes from one stretch of an object.
  struct Fragment: Hashable, Sendable {
    /// Index of the file.
    var file: Int
    /// Where in the file.
    var offset: Int64
    var count: Int
    var key: String
    /// Where in the object.
    var start: Int64
    var tag: String?
    /// Whether it is all of the object.
    var isWhole = false

    /// Whether this is what comes after `other`, in its file and in its object.
    func follows(_ other: Fragment) -> Bool {
      file == other.file && key == other.key && tag == other.tag && offset == other.offset + Int64(other.count)
        && start == other.start + Int64(other.count)
    }
  }

  /// Fragments that are fetched, noted and handed to other nodes together.
  struct Piece: Hashable, Sendable {
    var fragments: [Fragment]

    var bytes: Int { fragments.reduce(0) { $0 + $1.count } }
  }

  /// One request to the store, and the fragments that are in its answer.
  struct Read: Hashable, Sendable {
    var key: String
    var range: Range<Int64>
    var tag: String?
    /// Whether `range` is all of the object.
    var isWhole = false
    /// Positions in the piece's `fragments`.
    var positions: [Int]
  }

  static let pieceSize = 8 << 20
  static let filesInABatch = 256
  /// Bytes between two fragments that are rather read than skipped by another request.
  static let gap: Int64 = 64 << 10

  let files: [TransferFile]
  let pieces: [Piece]
  /// The pieces of each file, in the order of the file.
  let piecesOfFile: [[Int]]
  /// SHA-256 over all that decides what is in which piece.
  let id: String

  /// Cuts `files`, at `pieceSize` bytes; those that are smaller come several in a piece.
  init(_ files: [TransferFile], pieceSize: Int = Self.pieceSize) {
    self.files = files
    var pieces: [Piece] = []
    var batch = Piece(fragments: [])
    var batched = 0
    func close() {
      if !batch.fragments.isEmpty { pieces.append(batch) }
      batch = Piece(fragments: [])
      batched = 0
    }
    for (index, file) in files.enumerated() where file.size > 0 {
      let fragments = Self.cut(file, index, pieceSize)
      let isSmall = fragments.count == 1 && fragments[0].count < pieceSize
      guard isSmall else {
        close()
        pieces += fragments.map { Piece(fragments: [$0]) }
        continue
      }
      if batched + fragments[0].count > pieceSize || batch.fragments.count >= Self.filesInABatch { close() }
      batch.fragments.append(fragments[0])
      batched += fragments[0].count
    }
    close()
    self.pieces = pieces
    var piecesOfFile = [[Int]](repeating: [], count: files.count)
    for (index, piece) in pieces.enumerated() {
      for fragment in piece.fragments { piecesOfFile[fragment.file].append(index) }
    }
    self.piecesOfFile = piecesOfFile
    id = Self.identity(files, pieceSize)
  }

  var total: Int64 { files.reduce(0) { $0 + $1.size } }

  /// Whether a piece is a stretch of one file that is more than it.
  func isPartOfLarge(_ piece: Int) -> Bool {
    pieces[piece].fragments.count == 1 && piecesOfFile[pieces[piece].fragments[0].file].count > 1
  }

  /// Whether checksums tell of all that is in a piece if it is right, whoever gave it.
  func isProvable(_ piece: Int) -> Bool { pieces[piece].fragments.allSatisfy { files[$0.file].checksum != nil } }

  /// The requests that bring what of `piece` is in `wanted` (positions of fragments): neighbours in one object are one.
  static func reads(of piece: Piece, wanted: [Int]) -> [Read] {
    var reads: [Read] = []
    for position in wanted {
      let fragment = piece.fragments[position]
      let end = fragment.start + Int64(fragment.count)
      if let last = reads.last, last.key == fragment.key, last.tag == fragment.tag,
        fragment.start >= last.range.upperBound, fragment.start - last.range.upperBound <= gap
      {
        reads[reads.count - 1].range = last.range.lowerBound..<end
        reads[reads.count - 1].positions.append(position)
      } else {
        reads.append(
          Read(
            key: fragment.key, range: fragment.start..<end, tag: fragment.tag, isWhole: fragment.isWhole,
            positions: [position]))
      }
    }
    return reads
  }

  private static func cut(_ file: TransferFile, _ index: Int, _ pieceSize: Int) -> [Fragment] {
    var fragments: [Fragment] = []
    var offset: Int64 = 0
    for source in file.sources {
      var done: Int64 = 0
      while done < source.size {
        let count = min(Int64(pieceSize), source.size - done)
        fragments.append(
          Fragment(
            file: index, offset: offset, count: Int(count), key: source.key, start: source.start + done,
            tag: source.tag, isWhole: source.isWhole && count == source.size))
        done += count
        offset += count
      }
    }
    return fragments
  }

  private static func identity(_ files: [TransferFile], _ pieceSize: Int) -> String {
    var hash = ContentHash()
    hash.update(Array("pieces of \(pieceSize), \(filesInABatch) files\n".utf8))
    for file in files {
      var line = "\(file.checksum.map { "\($0)" } ?? "-") \(file.size)"
      for source in file.sources { line += " \(source.start)+\(source.size) \(source.tag ?? "-") \(source.key)" }
      hash.update(Array("\(line) \(file.path)\n".utf8))
    }
    return hash.hex()
  }
}
