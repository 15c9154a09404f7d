import VirtualPC

/// Why a trace can not be written or read. Each description is a whole message that names the file and the reason.
package enum TraceError: Error, Hashable, Sendable {
    /// The file can not be opened or created; `reason` is the system's.
    case cannotOpen(path: String, reason: String)
    case cannotRead(path: String, reason: String)
    case cannotWrite(path: String, reason: String)
    /// No space is left; what was written so far stays under the `.incomplete` name.
    case diskFull(path: String)
    /// Another recorder writes to the same file.
    case inUse(path: String)
    /// An event or rung that no frame can hold.
    case tooLarge(path: String, what: String, bytes: Int, limit: Int)

    /// The file has no bytes.
    case empty(path: String)
    /// The file does not begin as a trace does.
    case notATrace(path: String)
    /// The file ends before its manifest does.
    case noManifest(path: String)
    /// The file ends inside the initial snapshot, so there is nothing to start from.
    case noSnapshot(path: String)
    case unknownVersion(path: String, version: UInt32, supported: [UInt32])
    case unknownKind(path: String, frame: Int, offset: UInt64, kind: UInt16, version: UInt32)
    /// A byte is not what it must be.
    case damaged(path: String, frame: Int, offset: UInt64, Damage)
    /// The manifest asks for more memory than is allowed (ruling R24).
    case tooMuchMemory(path: String, asked: UInt64, limit: UInt64)
}

extension TraceError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotOpen(let path, let reason): "\(path): cannot open: \(reason)"
        case .cannotRead(let path, let reason): "\(path): cannot read: \(reason)"
        case .cannotWrite(let path, let reason): "\(path): cannot write: \(reason)"
        case .diskFull(let path): "\(path): cannot write: no space left on the disk"
        case .inUse(let path): "\(path): another recording is being written there"
        case .tooLarge(let path, let what, let bytes, let limit):
            "\(path): \(what) of \(bytes) bytes does not fit, at most \(limit) do"
        case .empty(let path): "\(path): the file is empty"
        case .notATrace(let path): "\(path): not a trace"
        case .noManifest(let path): "\(path): the trace ends before its manifest does"
        case .noSnapshot(let path): "\(path): the trace ends inside its initial snapshot, so nothing can be replayed"
        case .unknownVersion(let path, let version, let supported):
            "\(path): trace format version \(version) is unknown; this build reads "
                + supported.map { "\($0)" }.joined(separator: ", ")
        case .unknownKind(let path, let frame, let offset, let kind, let version):
            "\(path): frame \(frame) at byte \(offset) has kind \(kind), which trace format version \(version) does not know"
        case .damaged(let path, let frame, let offset, let damage):
            "\(path): damaged at frame \(frame), byte \(offset): \(damage)"
        case .tooMuchMemory(let path, let asked, let limit):
            "\(path): the machine has \(asked) bytes of memory, at most \(limit) are allowed"
        }
    }
}

/// What is wrong with a frame.
package enum Damage: Error, Hashable, Sendable {
    case magic, headerChecksum, payloadChecksum
    /// The frame does not follow what stands before it: the chained checksum differs.
    case chain
    case sequence(found: UInt64)
    case lengths(raw: UInt32, stored: UInt32)
    case encoding(UInt8)
    case positions
    /// A frame of this kind can not stand here.
    case order(FrameKind)
    /// The zstd frame inside does not give the bytes that it should.
    case compression
    /// The payload's byte at this index (after decompression) is not what it must be.
    case content(byte: Int, reason: String)
    /// Bytes follow the end frame.
    case trailing
}

extension Damage: CustomStringConvertible {
    package var description: String {
        switch self {
        case .magic: "no frame begins here"
        case .headerChecksum: "the frame header's checksum differs"
        case .payloadChecksum: "the payload's checksum differs"
        case .chain: "the checksum of all that stands before differs"
        case .sequence(let found): "the frame's number is \(found)"
        case .lengths(let raw, let stored): "lengths \(raw) and \(stored) are not those of a frame"
        case .encoding(let code): "payload encoding \(code) is unknown"
        case .positions: "the frame's positions do not fit what it holds"
        case .order(let kind): "a frame of kind \(kind.name ?? "\(kind.rawValue)") cannot stand here"
        case .compression: "the payload does not decompress"
        case .content(let byte, let reason): "byte \(byte) of the payload: \(reason)"
        case .trailing: "bytes follow the end frame"
        }
    }
}
