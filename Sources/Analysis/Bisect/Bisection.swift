import Devices
import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// Looks for the first position of a trace's run at which a predicate holds.
package struct Bisection {
    /// How it was looked for.
    package enum Method: String, Sendable, Encodable {
        /// By halving, between states kept on the way: for what stays true once it is.
        case search
        /// From the beginning on, asking wherever the answer may have changed.
        case scan
    }

    /// What was found.
    package struct Answer: Sendable {
        /// Nil where the predicate holds nowhere in the range.
        package let finding: Finding?
        package let method: Method
        /// The steps that were made, as a multiple of those from the trace's first position to where the search ended.
        package let replays: Double
    }

    /// The first position at which the predicate holds.
    package struct Finding: Sendable {
        package let position: Position
        package let time: VirtualTime
        /// What made it so; nil where it held already where the search began.
        package let cause: Cause?
    }

    /// The step before.
    package struct Cause: Sendable {
        package enum Kind: Hashable, Sendable {
            case instruction
            /// The delivery of an exception that `instruction` raised, or of an interrupt that came before it.
            case exception(vector: UInt8)
            case interrupt(vector: UInt8)
            /// What happened before the step: events from outside, or else a timer or the passing of idle time.
            case outside([Event])
        }
        package let kind: Kind
        /// The instruction at CS:RIP before the step.
        package let instruction: InstructionRecord
    }

    /// Of what is halved no more than this many steps are left to be asked one by one.
    private static let scanned: UInt64 = 2_000_000
    /// Into so many parts a run is cut by the states that are kept; only the last is.
    private static let parts: UInt64 = 6
    private static let shortestPart: UInt64 = 16_000_000

    private let trace: TraceReader
    private let symbols: Symbols?
    private let from: Position
    private let to: Position
    private let isLatched: Bool
    private let run: ProbedRun

    /// - Parameters:
    ///   - from: where the search begins; the trace's first position where nil.
    ///   - to: the last position that is looked at; the trace's last where nil.
    ///   - latched: the user says that the predicate stays true once it is.
    ///   - engine: makes the steps that are not asked about one by one; those are the interpreter's.
    ///   - memoryLimit: the most RAM that the machine may have, in bytes (ruling R24).
    package init(
        _ trace: TraceReader, when predicate: Predicate, latched: Bool = false, symbols: Symbols? = nil, from: Position? = nil,
        to: Position? = nil, engine: EngineKind = .translate, memoryLimit: UInt64,
        progress: @escaping (Position, VirtualTime) -> Void = { _, _ in }
    ) throws(BisectError) {
        self.trace = trace
        self.symbols = symbols
        isLatched = latched || predicate.staysTrue
        run = try ProbedRun(trace, predicate: predicate, engine: engine, memoryLimit: memoryLimit, progress: progress)
        self.from = max(from ?? run.position, run.position)
        self.to = min(to ?? trace.position, trace.position)
        if self.from > trace.position { throw .beyondEnd(path: trace.path, from: self.from, end: trace.position) }
        if self.from > self.to { throw .emptyRange(from: self.from, to: self.to) }
    }

    /// Looks. To be called once.
    package func answer() throws(BisectError) -> Answer {
        let start = run.position
        _ = try run.move(to: from, asking: false)
        if run.source.holds() {
            return answered(Finding(position: run.position, time: run.machine.now, cause: nil), start)
        }
        guard let mark = isLatched ? try search() : try scan() else {
            try run.verifyEnd()
            return answered(nil, start)
        }
        return answered(try explain(mark), start)
    }

    private func answered(_ finding: Finding?, _ start: Position) -> Answer {
        let end = finding?.position ?? to
        let length = max(1, end.rawValue - start.rawValue)
        return Answer(finding: finding, method: isLatched ? .search : .scan, replays: Double(run.steps) / Double(length))
    }

    private var part: UInt64 { max(Self.shortestPart, (to.rawValue - from.rawValue) / Self.parts) }

    /// Asks all the way. Gives a state before the position at which the machine then stands, where the predicate holds; nil where it
    /// holds nowhere.
    private func scan() throws(BisectError) -> ProbedRun.Mark? {
        while run.position < to {
            let mark = run.mark()
            switch try run.move(to: min(to, run.position.advanced(by: part)), asking: true) {
            case .holds: return mark
            case .ended: return nil
            case .reached: break
            }
        }
        return nil
    }

    /// Asks at the ends of parts, halves the first at whose end the predicate holds, and asks all the way through what is left.
    private func search() throws(BisectError) -> ProbedRun.Mark? {
        var low = run.mark()
        while true {
            if run.position >= to { return nil }
            let arrival = try run.move(to: min(to, run.position.advanced(by: part)), asking: false)
            if run.source.holds() { break }
            if arrival == .ended { return nil }
            low = run.mark()
        }
        var high = run.position
        try run.goBack(to: low)
        while high.rawValue - low.position.rawValue > Self.scanned {
            let middle = Position(low.position.rawValue + (high.rawValue - low.position.rawValue) / 2)
            _ = try run.move(to: middle, asking: false)
            if run.source.holds() {
                high = middle
                try run.goBack(to: low)
            } else {
                low = run.mark()
            }
        }
        guard try run.move(to: high, asking: true) == .holds else {
            preconditionFailure("the predicate holds again where it held before")
        }
        return low
    }

    /// The machine stands where the predicate first holds: finds out what the step before was, from a state before it.
    private func explain(_ mark: ProbedRun.Mark) throws(BisectError) -> Finding {
        let position = run.position
        // The first instant of the position: time may have moved on since, if the machine was idle there.
        let time = run.source.found?.time ?? run.machine.now
        precondition(mark.position < position, "the predicate did not hold at the mark")
        try run.goBack(to: mark)
        _ = try run.move(to: Position(position.rawValue - 1), asking: false)
        let instruction = run.machine.nextInstruction(symbols: symbols)
        run.source.notesBoundaries = true
        _ = try run.move(to: position, asking: false)
        let boundary = run.source.lastBoundary
        let kind: Cause.Kind
        if boundary.holdsBeforeStep {
            kind = .outside(boundary.events)
        } else if let delivery = run.machine.processor.lastDelivery, delivery.position == instruction.position {
            switch delivery.kind {
            case .exception: kind = .exception(vector: delivery.vector)
            case .interrupt: kind = .interrupt(vector: delivery.vector)
            case .instruction: kind = .instruction
            }
        } else {
            kind = .instruction
        }
        return Finding(position: position, time: time, cause: Cause(kind: kind, instruction: instruction))
    }
}
