import ArgumentParser
import TraceFormat

/// How much memory the machine of a trace may have: the trace says how much it has, and may come from a stranger.
struct MemoryLimit: ParsableArguments {
    @Option(
        name: .customLong("memory-limit"),
        help: ArgumentHelp("The most memory that a trace's machine may have. (default: the host's free memory)", valueName: "size"))
    var size: ByteCount?

    /// The limit, in bytes.
    var bytes: UInt64 { size?.bytes ?? HostMemory.available }
}
