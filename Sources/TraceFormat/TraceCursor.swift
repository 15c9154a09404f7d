/// Reads the items of one payload, one by one, so that no list is allocated on a file's word.
package protocol PayloadDecoder {
    associatedtype Item
    /// The next item; nil after the last.
    mutating func next() throws(Damage) -> Item?
}

/// Walks the items of all frames of a kind, in order, with one frame in memory at a time.
package struct TraceCursor<Decoder: PayloadDecoder> {
    private let reader: TraceReader
    private let frames: [Int]
    private let open: (_ payload: [UInt8]) -> Decoder
    private var nextFrame = 0
    private var decoder: Decoder?

    init(_ reader: TraceReader, frames: [Int], open: @escaping (_ payload: [UInt8]) -> Decoder) {
        self.reader = reader
        self.frames = frames
        self.open = open
    }

    /// The next item; nil after the last.
    package mutating func next() throws(TraceError) -> Decoder.Item? {
        while true {
            if decoder == nil {
                guard nextFrame < frames.count else { return nil }
                decoder = open(try reader.payload(ofFrame: frames[nextFrame]))
                nextFrame += 1
            }
            do throws(Damage) {
                if let item = try decoder?.next() { return item }
            } catch {
                throw reader.damaged(frame: frames[nextFrame - 1], error)
            }
            decoder = nil
        }
    }

    /// All items that are left. For traces whose size is trusted; a replay walks instead.
    package mutating func rest() throws(TraceError) -> [Decoder.Item] {
        var items: [Decoder.Item] = []
        while let item = try next() { items.append(item) }
        return items
    }
}
