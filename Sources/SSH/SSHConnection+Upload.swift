extension SSHConnection {
  /// Called during an upload with the bytes handed over so far and the bytes in all.
  ///
  /// Must return at once.
  public typealias UploadProgress = @Sendable (_ sent: Int, _ total: Int) -> Void

  /// Puts a file with `bytes` at `remotePath`, whole and verified, or not at all.
  ///
  /// The bytes go to a file beside the target, are read back with the node's own `sha256sum`, and move into place
  /// in one step: a reader of `remotePath` sees the old file or the new one. Missing folders are made.
  ///
  /// - `remotePath`: absolute, or relative to the user's home.
  /// - `mode`: permission bits of the new file.
  /// - `sha256`: the digest the file must have, in hexadecimal.
  ///
  /// Throws `.checksumMismatch` when what arrived is not that, `.uploadFailed` with the remote side's words when it
  /// cannot be stored, and what `run` throws. Nothing is left behind then, unless the node itself goes down, and the
  /// target is untouched. A lost connection or a cancellation at the very end can still leave the complete new file
  /// in place.
  public func upload(
    bytes: [UInt8], to remotePath: String, mode: UInt16 = 0o644, sha256: String, progress: UploadProgress? = nil
  ) async throws {
    let digest = sha256.lowercased()
    guard digest.utf8.count == 64, digest.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
    else {
      throw SSHError(.invalidArgument, endpoint: endpoint, detail: "the SHA-256 is not 64 hexadecimal digits")
    }
    let bits = String(mode & 0o7777, radix: 8)
    let process = try await start(["/bin/sh", "-c", UploadScript.text, "upload", remotePath, bits, digest])
    var sent = 0
    do {
      while sent < bytes.count {
        let chunk = Array(bytes[sent..<min(sent + UploadScript.chunkSize, bytes.count)])
        try await process.write(chunk)
        sent += chunk.count
        progress?(sent, bytes.count)
      }
      try await process.closeInput()
    } catch let error as SSHError where error.code == .inputClosed {
      // The script has ended early; its status and its words say why.
    } catch {
      await process.cancel()
      throw error
    }
    let status = try await process.exit
    let said = try await process.stdout.text(), complaint = try await process.stderr.text()
    switch status {
    case .exited(0): return
    case .exited(UploadScript.mismatchStatus):
      throw SSHError(.checksumMismatch(expected: digest, actual: said), endpoint: endpoint, detail: remotePath)
    default:
      let detail = "\(remotePath): \(complaint.isEmpty ? status.description : complaint)"
      throw SSHError(.uploadFailed, endpoint: endpoint, detail: detail)
    }
  }
}

private enum UploadScript {
  static let mismatchStatus: Int32 = 65
  static let chunkSize = 1 << 20

  /// $1 target, $2 mode, $3 digest.
  ///
  /// Standard input that is cut off ends `cat` without an error: the checksum is what tells, and the trap removes the
  /// part.
  static let text = """
    f=$1; t=$1.upload.$$
    if [ -d "$f" ]; then echo "it is a directory" >&2; exit 73; fi
    case $f in */*) mkdir -p -- "${f%/*}/" || exit 73;; esac
    umask 077
    trap 'rm -f -- "$t"' EXIT
    trap 'exit 75' HUP INT TERM PIPE
    cat >"$t" || exit 74
    s=$(sha256sum <"$t") || exit 74
    s=${s%% *}
    if [ "$s" != "$3" ]; then printf %s "$s"; exit \(mismatchStatus); fi
    chmod -- "$2" "$t" && mv -f -- "$t" "$f"
    """
}

extension SSHProcess.Output {
  /// The rest of a short stream as one line of text, cut at 500 characters.
  fileprivate func text() async throws -> String {
    var bytes: [UInt8] = []
    for try await chunk in self { bytes += chunk }
    let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
    return String(lines.joined(separator: "; ").prefix(500))
  }
}
