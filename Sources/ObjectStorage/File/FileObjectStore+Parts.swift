import Glibc

// Parts are files `.baton/uploads/<id>/<number>` until they are joined.
extension FileObjectStore {
  /// Begins an upload in parts; see `ObjectStore`.
  public func beginUpload(_ key: String, sha256: String?) async throws(ObjectStoreError) -> PartedUpload {
    try await pool.run { () throws(ObjectStoreError) in
      _ = try path(of: key)
      try requireRoot(key: key)
      let id = String(UInt64.random(in: 0...UInt64.max), radix: 16)
      do throws(SystemError) { try Disk.makeFolders(folder(ofUpload: id)) } catch {
        throw ObjectStoreError(error, key: key)
      }
      return PartedUpload(key: key, id: id, sha256: sha256)
    }
  }

  /// Stores a part; see `ObjectStore`.
  public func uploadPart(
    _ upload: PartedUpload, number: Int, from source: ObjectSource
  ) async throws(ObjectStoreError) -> UploadedPart {
    try await pool.run { () throws(ObjectStoreError) in
      let folder = try existing(upload)
      guard number >= 1 else { throw ObjectStoreError(.badRequest, key: upload.key, reason: "parts count from 1") }
      let temporary = try newTemporary(for: upload.key)
      defer { unlink(temporary) }
      let info = try fill(temporary, from: [source], key: upload.key, sha256: nil)
      do throws(SystemError) { try Disk.move(temporary, to: "\(folder)/\(number)") } catch {
        throw ObjectStoreError(error, key: upload.key)
      }
      return UploadedPart(number: number, size: info.size, tag: info.sha256 ?? "")
    }
  }

  /// Joins parts to an object; see `ObjectStore`.
  public func completeUpload(
    _ upload: PartedUpload, parts: [UploadedPart], replacing: Bool
  ) async throws(ObjectStoreError) -> ObjectInfo {
    try await pool.run { () throws(ObjectStoreError) in
      let folder = try existing(upload)
      let sorted = parts.sorted { $0.number < $1.number }
      for part in sorted where Disk.status("\(folder)/\(part.number)") == nil {
        throw ObjectStoreError(.badRequest, key: upload.key, reason: "there is no part \(part.number)")
      }
      for part in sorted where checksum(at: "\(folder)/\(part.number)").map({ $0 != part.tag }) ?? false {
        throw ObjectStoreError(.badRequest, key: upload.key, reason: "part \(part.number) was replaced by another")
      }
      let temporary = try newTemporary(for: upload.key)
      defer { unlink(temporary) }
      let sources = sorted.map { ObjectSource.file(path: "\(folder)/\($0.number)") }
      let info = try fill(temporary, from: sources, key: upload.key, sha256: upload.sha256)
      try publish(temporary, as: path(of: upload.key), key: upload.key, replacing: replacing)
      do throws(SystemError) { try Disk.removeTree(folder) } catch { throw ObjectStoreError(error, key: upload.key) }
      return info
    }
  }

  /// Drops an upload; see `ObjectStore`.
  public func abortUpload(_ upload: PartedUpload) async throws(ObjectStoreError) {
    try await pool.run { () throws(ObjectStoreError) in
      guard let folder = try? existing(upload) else { return }
      do throws(SystemError) { try Disk.removeTree(folder) } catch { throw ObjectStoreError(error, key: upload.key) }
    }
  }

  private func folder(ofUpload id: String) -> String { "\(root)/\(Self.reserved)/uploads/\(id)" }

  private func existing(_ upload: PartedUpload) throws(ObjectStoreError) -> String {
    let isSafe = !upload.id.isEmpty && upload.id.allSatisfy { $0.isASCII && $0.isHexDigit }
    let folder = folder(ofUpload: upload.id)
    guard isSafe, Disk.status(folder) != nil else {
      throw ObjectStoreError(.badRequest, key: upload.key, reason: "there is no upload \(upload.id)")
    }
    return folder
  }
}
