/// What a frame of a trace holds: an open set of codes, of which this format knows some.
package struct FrameKind: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// What decides how the machine behaves, as JSON.
    package static let manifest = FrameKind(rawValue: 1)
    /// A piece of the initial snapshot.
    package static let snapshot = FrameKind(rawValue: 2)
    /// What came from outside.
    package static let events = FrameKind(rawValue: 4)
    /// Records of the state at positions.
    package static let rungs = FrameKind(rawValue: 5)
    /// Where each frame stands.
    package static let index = FrameKind(rawValue: 8)
    /// The last frame of a whole trace.
    package static let end = FrameKind(rawValue: 9)

    /// The kinds of this format, in the order in which they first stand in a trace.
    package static let known: [FrameKind] = [.manifest, .snapshot, .events, .rungs, .index, .end]

    /// The kind's name in reports; nil for one that this format does not know.
    package var name: String? {
        switch self {
        case .manifest: "manifest"
        case .snapshot: "snapshot"
        case .events: "events"
        case .rungs: "rungs"
        case .index: "index"
        case .end: "end"
        default: nil
        }
    }
}
