import Glibc

/// Labelled square images, split into a part to train on and a fifth to test on.
struct Dataset: Sendable {
  /// Pixels along an edge.
  let side: Int
  /// One more than the highest label.
  let classes: Int
  /// Which images train, in a fixed order.
  let training: [Int]
  /// Which images are held out; they never train.
  let heldOut: [Int]
  /// Tells data sets apart: the hash of all labels and pixels in order.
  let digest: String
  private let pixels: [UInt8]
  private let labels: [UInt8]
  private let mean: Float
  private let scale: Float

  /// The seed of the split is fixed: two runs with different seeds still test on the same images.
  private static let splitSeed: UInt64 = 20_240_229

  /// Splits the images and measures mean and deviation of the training part.
  ///
  /// - Throws: `.badInput` when there are fewer than 10 images or one class, or no image differs from another.
  init(side: Int, pixels: [UInt8], labels: [UInt8]) throws(TrainerError) {
    let area = side * side
    precondition(pixels.count == labels.count * area)
    let classes = Int(labels.max() ?? 0) + 1
    guard labels.count >= 10, classes >= 2 else {
      throw TrainerError(.badInput, "the data holds \(labels.count) images of \(classes) classes; 10 and 2 are needed")
    }
    var generator = SplitMix64(seed: Self.splitSeed, purpose: .split)
    let order = generator.permutation(of: labels.count)
    training = order.enumerated().filter { $0.offset % 5 != 4 }.map(\.element)
    heldOut = order.enumerated().filter { $0.offset % 5 == 4 }.map(\.element)

    // Sums of bytes are exact in integers, so no order of adding can change them.
    var (sum, squares) = (0, 0)
    for image in training {
      for pixel in pixels[image * area..<(image + 1) * area] {
        sum += Int(pixel)
        squares += Int(pixel) * Int(pixel)
      }
    }
    let count = Double(training.count * area)
    let average = Double(sum) / count
    let variance = Double(squares) / count - average * average
    guard variance > 0 else { throw TrainerError(.badInput, "every pixel of the data has the same value") }
    var fingerprint = Fingerprint()
    fingerprint.add(labels)
    fingerprint.add(pixels)
    self.side = side
    self.classes = classes
    self.pixels = pixels
    self.labels = labels
    mean = Float(average / 255)
    scale = Float(255 / variance.squareRoot())
    digest = fingerprint.hex
  }

  /// The labels of some images, in their order.
  func labels(of images: ArraySlice<Int>) -> [UInt8] {
    images.map { labels[$0] }
  }

  /// Writes some images, normalised to mean 0 and deviation 1 over the training part, one after the other.
  ///
  /// - Parameter shifts: where each image is moved to; what comes in at an edge is black. Nil moves nothing.
  func copy(_ images: ArraySlice<Int>, into buffer: FloatBuffer, shifts: Shifts? = nil) {
    precondition(images.count * side * side <= buffer.count)
    let black = -mean * scale
    var target = buffer.base
    for image in images {
      let shift = shifts?.of(image) ?? (right: 0, down: 0)
      for row in 0..<side {
        for column in 0..<side {
          let (sourceRow, sourceColumn) = (row - shift.down, column - shift.right)
          let isInside = sourceRow >= 0 && sourceRow < side && sourceColumn >= 0 && sourceColumn < side
          let pixel = isInside ? pixels[(image * side + sourceRow) * side + sourceColumn] : 0
          target[column] = isInside ? (Float(pixel) / 255 - mean) * scale : black
        }
        target += side
      }
    }
  }
}

/// Small moves of training images, so that a few thousand of them teach as much as many more.
///
/// A move depends on seed, epoch and image only: there is no state to save, and no rank draws for another.
struct Shifts: Sendable {
  let seed: UInt64
  let epoch: Int
  /// The most pixels an image moves in each direction; 0 moves nothing.
  let pixelsMax: Int

  /// Where one image is moved to in this epoch.
  func of(_ image: Int) -> (right: Int, down: Int) {
    var generator = SplitMix64(seed: seed, purpose: .shift, index: UInt64(epoch) << 32 + UInt64(image))
    let span = 2 * pixelsMax + 1
    return (generator.next(below: span) - pixelsMax, generator.next(below: span) - pixelsMax)
  }
}

extension Dataset {
  /// Reads every `*.csv` of a folder (or, if it has none, of the folders in it), in the order of their names.
  ///
  /// A line is the pixels of one square image, 0..255, then its label; there is no header.
  ///
  /// - Throws: `.noInput` when there is nothing to read, `.badInput` with file and line when it is no such data.
  static func load(folder: String) throws(TrainerError) -> Dataset {
    var reader = PixelReader()
    for file in try files(in: folder) {
      let bytes: [UInt8]
      do {
        bytes = try readFile(file)
      } catch {
        throw .system(.noInput, "cannot read \(file)", errno: error.number)
      }
      try reader.read(bytes, name: file)
    }
    guard let columns = reader.columns else { throw TrainerError(.badInput, "the files in \(folder) are empty") }
    let side = Int(Double(columns - 1).squareRoot())
    guard side * side == columns - 1, side % 4 == 0, side > 0 else {
      throw TrainerError(
        .badInput, "lines of \(columns) values are no square image and a label",
        advice: "MNIST has 785: 28 x 28 pixels, then the label. The edge must be a multiple of 4.")
    }
    return try Dataset(side: side, pixels: reader.pixels, labels: reader.labels)
  }

  private static func files(in folder: String) throws(TrainerError) -> [String] {
    let names = try list(folder)
    let direct = names.filter { $0.hasSuffix(".csv") }.map { folder + "/" + $0 }
    if !direct.isEmpty { return direct }
    var nested: [String] = []
    for name in names {
      var status = stat()
      let path = folder + "/" + name
      guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { continue }
      nested += try list(path).filter { $0.hasSuffix(".csv") }.map { path + "/" + $0 }
    }
    guard nested.isEmpty else { return nested }
    let packed = names.first { $0.hasSuffix(".csv.gz") }
    throw TrainerError(
      .noInput, "there is no *.csv in \(folder)",
      advice: packed.map { "Unpack it first: gunzip \(folder)/\($0)" } ?? "Name the folder with --data DIR.")
  }

  /// The names in a folder, sorted, without hidden ones.
  private static func list(_ folder: String) throws(TrainerError) -> [String] {
    guard let handle = opendir(folder) else {
      throw .system(.noInput, "cannot open the data folder \(folder)", errno: errno, advice: "Name it with --data DIR.")
    }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }
}

/// Takes lines of comma-separated bytes apart; every line must have as many values as the first.
struct PixelReader {
  private(set) var pixels: [UInt8] = []
  private(set) var labels: [UInt8] = []
  /// Values of a line, once one was read.
  private(set) var columns: Int?
  private var line: [UInt8] = []

  /// Adds all lines of one file; a last line without an end and empty lines are fine.
  ///
  /// - Throws: `.badInput` naming file and line for anything but numbers 0..255, or a label above 9.
  mutating func read(_ bytes: [UInt8], name: String) throws(TrainerError) {
    var number: Int?
    var lineNumber = 1
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        let value = (number ?? 0) * 10 + Int(byte - UInt8(ascii: "0"))
        guard value <= 255 else { throw bad(name, lineNumber, "a value is above 255") }
        number = value
      case UInt8(ascii: ","):
        guard let value = number else { throw bad(name, lineNumber, "a value is missing") }
        line.append(UInt8(value))
        number = nil
      case UInt8(ascii: "\n"):
        try endLine(&number, name, lineNumber)
        lineNumber += 1
      case UInt8(ascii: "\r"):
        break
      default:
        throw bad(name, lineNumber, "byte \(byte) is neither a digit nor a comma")
      }
    }
    try endLine(&number, name, lineNumber)
  }

  private mutating func endLine(_ number: inout Int?, _ name: String, _ lineNumber: Int) throws(TrainerError) {
    if line.isEmpty && number == nil { return }
    guard let label = number else { throw bad(name, lineNumber, "the line ends with a comma") }
    let count = line.count + 1
    guard count == columns ?? count else {
      throw bad(name, lineNumber, "\(count) values, but \(columns ?? 0) in the first line")
    }
    guard label <= 9 else { throw bad(name, lineNumber, "the label \(label) is above 9") }
    columns = count
    pixels += line
    labels.append(UInt8(label))
    line.removeAll(keepingCapacity: true)
    number = nil
  }

  private func bad(_ name: String, _ line: Int, _ reason: String) -> TrainerError {
    TrainerError(.badInput, "\(name), line \(line): \(reason)", advice: "A line is pixels 0..255, then the label.")
  }
}
