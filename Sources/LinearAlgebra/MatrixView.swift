/// A row-major matrix of 32-bit floats in memory that someone else owns.
///
/// The view neither allocates nor frees; its memory must outlive every use of it. Rows are `columns`
/// values long and follow each other without a gap.
public struct MatrixView {
  /// The value in row 0, column 0.
  public let base: UnsafeMutablePointer<Float>
  /// The number of rows.
  public let rows: Int
  /// The number of columns, which is also the distance between two rows.
  public let columns: Int

  /// Looks at `rows * columns` floats from `base` on.
  ///
  /// - Precondition: both sizes are at least 1 and fit in 32 bits, as the library below counts in `int`.
  public init(_ base: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
    precondition(rows >= 1 && columns >= 1 && rows <= Int(Int32.max) && columns <= Int(Int32.max))
    self.base = base
    self.rows = rows
    self.columns = columns
  }
}
