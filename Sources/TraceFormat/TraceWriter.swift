import Dispatch
import Synchronization
import VirtualPC
import X86

/// Writes a trace to `PATH.incomplete` and renames it to `PATH` when the run has ended.
///
/// Frames are compressed and written by a thread of their own, in the order in which they were handed over, so the machine
/// does not wait for its own snapshot. A failure there is thrown by the next call. Whatever happens, nothing unfinished
/// stands under the final name, and what was written stays under the other.
package final class TraceWriter {
    package static let incompleteSuffix = ".incomplete"
    /// Buffers that reach this many bytes are closed as frames.
    private static let frameBytes = 1 << 18

    package let path: String
    private let queue = DispatchQueue(label: "trace writer")
    private let background: Background
    private var events = EventEncoder()
    private var lastEvent: Stamp?
    private var rungs = ByteWriter()
    private var firstRung: Position?
    private var lastRung: Position?

    /// The writing thread's side: touched by the queue alone, but for the failure.
    // SAFETY: `frames` is used only by blocks of the serial queue, one at a time.
    private final class Background: @unchecked Sendable {
        let frames: FrameWriter
        let failure = Mutex<TraceError?>(nil)
        init(_ frames: FrameWriter) { self.frames = frames }

        /// Runs `body` unless something has failed already.
        func attempt(_ body: (FrameWriter) throws(TraceError) -> Void) {
            guard failure.withLock({ $0 == nil }) else { return }
            do throws(TraceError) {
                try body(frames)
            } catch {
                failure.withLock { $0 = error }
            }
        }
    }

    /// Creates the file and hands over manifest and initial snapshot.
    package init(path: String, manifest: Manifest, snapshot: Snapshot) throws(TraceError) {
        precondition(snapshot.memoryBytes == manifest.memoryBytes, "the snapshot is of the manifest's machine")
        guard !TraceFile.isDirectory(path) else { throw .cannotOpen(path: path, reason: "it is a directory") }
        let payload = ManifestCoding.encode(manifest)
        guard payload.count <= FrameHeader.maximumRaw else {
            throw .tooLarge(path: path, what: "a manifest", bytes: payload.count, limit: FrameHeader.maximumRaw)
        }
        self.path = path
        let frames = try FrameWriter(try TraceFile.create(path + Self.incompleteSuffix))
        try frames.write(.manifest, payload: payload)
        background = Background(frames)
        submit { (frames) throws(TraceError) in
            try SnapshotCoding.encode(snapshot) { (payload) throws(TraceError) in try frames.write(.snapshot, payload: payload) }
        }
    }

    /// Adds an event. Events come in the order of their stamps, with consecutive sequence numbers from 0.
    package func append(_ event: StampedEvent) throws(TraceError) {
        try check()
        guard event.event.outsideBytes <= EventEncoder.maximumBytes else {
            throw .tooLarge(path: path, what: "an event", bytes: event.event.outsideBytes, limit: EventEncoder.maximumBytes)
        }
        let stamp = event.stamp
        precondition(stamp.sequence == lastEvent.map { $0.sequence + 1 } ?? 0, "events are numbered without a gap")
        if let lastEvent {
            precondition(stamp.position >= lastEvent.position && stamp.time >= lastEvent.time, "events come in order")
        }
        lastEvent = stamp
        events.append(event)
        if events.payload.count >= Self.frameBytes { closeEvents(at: event.stamp.position) }
    }

    /// Adds a rung. Rungs ascend by position.
    package func append(_ rung: Rung) throws(TraceError) {
        try check()
        if let lastRung { precondition(rung.position > lastRung, "rungs ascend") }
        let bytes = try encode(rung)
        if rungs.bytes.count + bytes.count > Self.frameBytes {
            closeEvents(at: rung.position)
            closeRungs()
        }
        rungs.raw(bytes)
        firstRung = firstRung ?? rung.position
        lastRung = rung.position
    }

    private func encode(_ rung: Rung) throws(TraceError) -> [UInt8] {
        var writer = ByteWriter()
        RungCoding.encode(rung, to: &writer)
        guard writer.bytes.count <= Self.frameBytes else {
            throw .tooLarge(path: path, what: "a rung", bytes: writer.bytes.count, limit: Self.frameBytes)
        }
        return writer.bytes
    }

    /// Closes the frames that are open and has them written, so that a killed recorder loses nothing older. Everything
    /// before `position` has been appended. To be called at least once a second of host time.
    package func flush(at position: Position) throws(TraceError) {
        closeEvents(at: position)
        closeRungs()
        try check()
    }

    /// Ends the trace: writes index and end, makes the file durable, gives it its name.
    package func finish(_ end: TraceEnd) throws(TraceError) {
        _ = try encode(end.rung)
        closeEvents(at: end.rung.position)
        closeRungs()
        let path = path
        submit { (frames) throws(TraceError) in try frames.finish(end, as: path) }
        wait()
        try check()
    }

    /// Waits until everything handed over has been written or has failed.
    package func wait() { queue.sync {} }

    private func check() throws(TraceError) {
        if let failure = background.failure.withLock({ $0 }) { throw failure }
    }

    private func submit(_ body: @escaping @Sendable (FrameWriter) throws(TraceError) -> Void) {
        let background = background
        queue.async { background.attempt(body) }
    }

    private func closeEvents(at position: Position) {
        guard let first = events.first else { return }
        let payload = events.payload
        submit { (frames) throws(TraceError) in try frames.write(.events, first: first, last: position, payload: payload) }
        events.removeAll()
    }

    private func closeRungs() {
        guard let first = firstRung, let last = lastRung else { return }
        let payload = rungs.bytes
        submit { (frames) throws(TraceError) in try frames.write(.rungs, first: first, last: last, payload: payload) }
        rungs.removeAll()
        firstRung = nil
    }
}
