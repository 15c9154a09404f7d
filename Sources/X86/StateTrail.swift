/// The states that a translator has come through, for an interpreter that goes the same way: written down wherever translated code
/// comes back, compared where the interpreter stands at the same position.
package final class StateTrail {
    /// The most states that it holds. Each is at least a step behind the one before.
    package static let capacity = 1024

    /// SAFETY: one book, reached by pointer so that engines pay no exclusivity checks; lives as long as the trail, which whoever
    /// engages engines in it keeps.
    let book: UnsafeMutablePointer<Book>

    /// What is written down.
    struct Book {
        /// SAFETY: room for `capacity` states, of which `count` are there.
        let states: UnsafeMutablePointer<State>
        var count = 0
        /// The first that was not compared yet.
        var next = 0
        var comparisons: UInt64 = 0
        var mismatch: Position?
        var pausesBetweenBlocks = false
        var isPaused = false
    }

    package init() {
        book = .allocate(capacity: 1)
        book.initialize(to: Book(states: .allocate(capacity: Self.capacity)))
    }

    deinit {
        book.pointee.states.deallocate()
        book.deallocate()
    }

    /// States that were compared in all.
    package var comparisons: UInt64 { book.pointee.comparisons }
    /// Where the first difference was found.
    package var mismatch: Position? { book.pointee.mismatch }
    /// All that was written down was compared, without a difference.
    package var isPassed: Bool { book.pointee.next == book.pointee.count && book.pointee.mismatch == nil }

    /// The translator stops its machine behind each state that it writes down, until `resume`.
    package var pausesBetweenBlocks: Bool {
        get { book.pointee.pausesBetweenBlocks }
        set { book.pointee.pausesBetweenBlocks = newValue }
    }
    package var isPaused: Bool { book.pointee.isPaused }

    /// Lets the translator's machine go on.
    package func resume() { book.pointee.isPaused = false }

    /// Forgets all states and the difference.
    package func clear() {
        book.pointee.count = 0
        book.pointee.next = 0
        book.pointee.mismatch = nil
        book.pointee.isPaused = false
    }
}

extension StateTrail.Book {
    /// Where the next comparison is due.
    var nextPosition: UInt64 { next < count ? states[next].position : .max }

    mutating func note(_ core: UnsafeMutablePointer<Core>) {
        precondition(count < StateTrail.capacity, "a trail is cleared before it is full")
        UnsafeMutableRawPointer(states + count).copyMemory(from: core, byteCount: MemoryLayout<State>.size)
        count += 1
        guard pausesBetweenBlocks else { return }
        isPaused = true
        CPU(core).requestAttention()
    }

    /// Compares a state at `nextPosition`; false: it differs.
    mutating func compare(_ core: UnsafeMutablePointer<Core>) -> Bool {
        let isSame = State.areEqual(states + next, UnsafeRawPointer(core).assumingMemoryBound(to: State.self))
        if !isSame { mismatch = Position(core.pointee.state.position) }
        next += 1
        comparisons += 1
        return isSame
    }
}

extension Interpreter {
    /// Runs as `run(until:)` does and compares with the states of a trail on the way. Stops where one differs.
    func run(until limit: UInt64, along book: UnsafeMutablePointer<StateTrail.Book>) -> Exit {
        let core = cpu.core
        let runBlocks = runBlocks
        while true {
            let exit = runBoundaries(until: min(limit, book.pointee.nextPosition), runBlocks)
            if core.pointee.state.position == book.pointee.nextPosition, !book.pointee.compare(core) { return .attention }
            if exit != .position || core.pointee.state.position >= limit { return exit }
        }
    }
}

extension Processor {
    /// Whether two processors stand in the same state.
    package static func areEqual(_ a: Processor, _ b: Processor) -> Bool {
        State.areEqual(
            UnsafeRawPointer(a.core).assumingMemoryBound(to: State.self), UnsafeRawPointer(b.core).assumingMemoryBound(to: State.self))
    }
}
