/// Why files cannot be booted. Each names the file and the reason.
package enum LoadError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What a file was taken for.
    package enum Format: String, Sendable {
        case bzImage
        case elf = "ELF kernel"
        case multiboot = "multiboot kernel"
    }

    case empty(file: String)
    /// The file is not, or not quite, what it has to be.
    case malformed(file: String, Format, reason: String)
    /// A good file for which this machine has no place.
    case doesNotFit(file: String, reason: String)
    case commandLineTooLong(bytes: Int, limit: Int)
    /// The command line has a zero byte, which would end it for the guest.
    case commandLineHasZero

    package var description: String {
        switch self {
        case .empty(let file): "\(file): the file is empty"
        case .malformed(let file, let format, let reason): "\(file): no \(format.rawValue): \(reason)"
        case .doesNotFit(let file, let reason): "\(file): \(reason)"
        case .commandLineTooLong(let bytes, let limit): "the command line has \(bytes) bytes, the kernel takes at most \(limit)"
        case .commandLineHasZero: "the command line holds a zero byte"
        }
    }
}
