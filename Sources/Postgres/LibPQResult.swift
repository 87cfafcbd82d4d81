import CPQ

/// Owns a `PGresult`.
final class LibPQResult {
  let pointer: OpaquePointer

  init(_ pointer: OpaquePointer) {
    self.pointer = pointer
  }

  deinit {
    PQclear(pointer)
  }

  var columns: [StatementDescription.Column] {
    (0..<PQnfields(pointer)).map {
      StatementDescription.Column(name: String(cString: PQfname(pointer, $0)), typeOID: PQftype(pointer, $0))
    }
  }

  /// `ROLLBACK` when a COMMIT did not commit.
  var commandTag: String { String(cString: PQcmdStatus(pointer)) }

  var affectedRows: Int { Int(String(cString: PQcmdTuples(pointer))) ?? 0 }

  /// A copy that lives without libpq.
  func table() -> ResultTable {
    let columns = columns
    let rowCount = PQntuples(pointer)
    var bytes: [UInt8] = []
    var starts: [Int] = []
    var ends: [Int] = []
    starts.reserveCapacity(Int(rowCount) * columns.count)
    ends.reserveCapacity(Int(rowCount) * columns.count)
    for row in 0..<rowCount {
      for column in 0..<Int32(columns.count) {
        starts.append(bytes.count)
        if PQgetisnull(pointer, row, column) == 1 {
          ends.append(-1)
          continue
        }
        let value = UnsafeRawBufferPointer(
          start: PQgetvalue(pointer, row, column), count: Int(PQgetlength(pointer, row, column)))
        bytes.append(contentsOf: value)
        ends.append(bytes.count)
      }
    }
    return ResultTable(columns: columns, rowCount: Int(rowCount), bytes: bytes, starts: starts, ends: ends)
  }
}

/// The code of a field of an error report (`PG_DIAG_*`), which C has as a character.
func diagnostic(_ field: Unicode.Scalar) -> Int32 {
  Int32(field.value)
}

extension PostgresError {
  /// Reads the error that a statement came back with.
  init(_ result: LibPQResult, statement: String) {
    func field(_ code: Unicode.Scalar) -> String? {
      PQresultErrorField(result.pointer, diagnostic(code)).map { String(cString: $0) }
    }
    let state = field("C")
    let message = field("M") ?? trimmed(String(cString: PQresultErrorMessage(result.pointer)))
    self.init(state.map(Code.init(sqlState:)) ?? .connectionLost, message: message, statement: statement)
    sqlState = state
    severity = field("V") ?? "ERROR"
    detail = field("D")
    hint = field("H")
    constraint = field("n")
    position = field("P").flatMap { Int($0) }
    serverRoutine = field("R")
  }

  /// Reads libpq's words about a connection that did not come about.
  ///
  /// There is no other way to its SQLSTATE: verbose messages have it as `FATAL:  28P01: password authentication
  /// failed`, and a line `LOCATION: ...`.
  init(connectFailure text: String) {
    var state: String?
    var lines: [Substring] = []
    for line in text.split(separator: "\n") where !line.hasPrefix("LOCATION:") {
      guard let match = line.firstMatch(of: #/:  ([0-9A-Z]{5}): /#) else {
        lines.append(line)
        continue
      }
      state = String(match.1)
      lines.append(line.replacing(match.0, with: ": "))
    }
    let code = state.map(Code.init(sqlState:)) ?? .cannotConnect
    self.init(code, message: lines.joined(separator: " "))
    sqlState = state
  }
}

func trimmed(_ text: String) -> String {
  var text = Substring(text)
  while text.last?.isWhitespace == true { text.removeLast() }
  return String(text)
}

/// C strings in one buffer, for as long as this lives.
///
/// A NUL in one ends it early, so callers check for it first.
struct CStringArray {
  private var bytes: [CChar] = []
  private var offsets: [Int?] = []

  init(_ strings: [String?]) {
    for string in strings {
      guard let string else {
        offsets.append(nil)
        continue
      }
      offsets.append(bytes.count)
      bytes.append(contentsOf: string.utf8.lazy.map { CChar(bitPattern: $0) })
      bytes.append(0)
    }
  }

  /// Lends the pointers, with a null pointer after the last.
  func withPointers<Result>(_ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result) -> Result {
    bytes.withUnsafeBufferPointer { buffer in
      var pointers = offsets.map { offset in offset.flatMap { buffer.baseAddress?.advanced(by: $0) } }
      pointers.append(nil)
      return pointers.withUnsafeBufferPointer { list in
        // The list is never empty, so it has an address.
        withUnsafePointer(to: UnsafePointer<CChar>?.none) { none in body(list.baseAddress ?? none) }
      }
    }
  }
}
