import Glibc

/// The contents of a text file.
package func readText(_ path: String) throws(OracleError) -> String {
    guard let file = fopen(path, "r") else { throw .file(path: path, reason: String(cString: strerror(errno))) }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = fread(&buffer, 1, buffer.count, file)
        if count == 0 { break }
        bytes += buffer[..<count]
    }
    guard ferror(file) == 0 else { throw .file(path: path, reason: "could not be read") }
    return String(decoding: bytes, as: UTF8.self)
}

/// Replaces a text file; on failure the old one stays.
package func writeText(_ text: String, _ path: String) throws(OracleError) {
    let temporary = path + ".new"
    guard let file = fopen(temporary, "w") else { throw .file(path: temporary, reason: String(cString: strerror(errno))) }
    let bytes = Array(text.utf8)
    let written = fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, written == bytes.count else { throw .file(path: temporary, reason: "could not be written") }
    guard rename(temporary, path) == 0 else { throw .file(path: path, reason: String(cString: strerror(errno))) }
}
