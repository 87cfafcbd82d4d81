import COpenBLAS

/// Dense linear algebra on OpenBLAS.
///
/// The same call with the same shapes gives the same bits as long as the library, its kernel
/// (`kernelName`) and the number of threads stay the same: call `useOneThread()` first.
public enum BLAS {
  /// How an operand is read.
  public enum Orientation: Sendable {
    /// As it lies in memory.
    case asIs
    /// With rows and columns exchanged; nothing is copied.
    case transposed
  }

  /// Keeps OpenBLAS on the calling thread, for the whole process.
  ///
  /// How a product is split over threads decides the order of its sums, and so its last bits.
  public static func useOneThread() {
    openblas_set_num_threads(1)
  }

  /// The kernel family OpenBLAS chose for this CPU, such as `SkylakeX`; another one rounds differently.
  public static var kernelName: String {
    guard let name = openblas_get_corename() else { return "unknown" }
    return String(cString: name)
  }

  /// Computes `c = a * b`, or `c += a * b` when `accumulate` is true, in single precision.
  ///
  /// Neither operand may overlap `c`. Without `accumulate` the former content of `c` is not read.
  ///
  /// - Precondition: after orientation `a` is m x k, `b` is k x n and `c` is m x n.
  public static func multiply(
    _ a: MatrixView, _ aOrientation: Orientation = .asIs,
    by b: MatrixView, _ bOrientation: Orientation = .asIs,
    into c: MatrixView, accumulate: Bool = false
  ) {
    let (m, k) = aOrientation == .asIs ? (a.rows, a.columns) : (a.columns, a.rows)
    let (inner, n) = bOrientation == .asIs ? (b.rows, b.columns) : (b.columns, b.rows)
    precondition(k == inner && c.rows == m && c.columns == n, "the shapes of a matrix product do not fit")
    cblas_sgemm(
      CblasRowMajor,
      aOrientation == .asIs ? CblasNoTrans : CblasTrans,
      bOrientation == .asIs ? CblasNoTrans : CblasTrans,
      blasint(m), blasint(n), blasint(k),
      1, a.base, blasint(a.columns),
      b.base, blasint(b.columns),
      accumulate ? 1 : 0, c.base, blasint(c.columns))
  }
}
