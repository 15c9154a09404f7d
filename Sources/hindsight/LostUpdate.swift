import Analysis
import Guests
import RecordReplay
import TraceFormat
import VirtualPC
import X86

/// The demo's bug in a trace: the load, the tick between, and the store that lost the tick's update.
struct LostUpdate {
    /// An instruction that read or wrote `total`, and what stood there behind it.
    struct Access {
        let instruction: InstructionRecord
        let total: UInt64
    }

    /// Behind the deposit's store the books say one deposit more than they count: it is counted next.
    static let predicate = "rip==audit && mem32[total] != mem32[bytes]+mem32[ticks]+1"
    /// The deposit is some 400 steps long, a tick in between some ten.
    private static let steps: UInt64 = 600

    let answer: Bisection.Answer
    let load: Access
    let tick: Access
    let store: Access

    /// The names of the demo's guest.
    static var symbols: Symbols {
        var named: [(name: String, address: UInt64)] = []
        // SAFETY: the table goes on up to a row without a name.
        var row = hs_demo_symbols()
        while let symbol = row?.pointee, let name = symbol.name {
            named.append((String(cString: name), symbol.address))
            row = row?.advanced(by: 1)
        }
        return Symbols(named, path: "demo")
    }

    /// Finds it.
    init(in trace: TraceReader) throws {
        let symbols = Self.symbols
        let limit = HostMemory.available
        answer = try Bisection(trace, when: Predicate(Self.predicate, symbols: symbols), symbols: symbols, memoryLimit: limit).answer()
        guard let finding = answer.finding, let total = symbols.address(of: "total") else { throw NotFound() }
        let end = finding.position
        let run = try TraceRun(trace, memoryLimit: limit)
        var position = Position(end.rawValue - min(end.rawValue, Self.steps))
        guard try run.move(to: position) == .reached else { throw NotFound() }
        var accesses: [Access] = []
        while position < end {
            let next = run.machine.nextInstruction(symbols: symbols)
            position = position.advanced(by: 1)
            guard try run.move(to: position) == .reached else { throw NotFound() }
            guard next.text.hasSuffix("<total>") else { continue }
            accesses.append(Access(instruction: next, total: run.machine.processor.number(at: total, count: 4) ?? 0))
        }
        guard let store = accesses.last, store.instruction.position.advanced(by: 1) == end,
            let tick = accesses.last(where: { $0.instruction.symbol?.hasPrefix("timer") == true }),
            let load = accesses.last(where: { $0.instruction.symbol == "deposit" })
        else { throw NotFound() }
        (self.load, self.tick, self.store) = (load, tick, store)
    }

    /// The trace does not hold what the guest is written to do.
    private struct NotFound: Error, CustomStringConvertible {
        var description: String { "the store that lost the update was not found in the trace" }
    }

    /// The three instructions, in plain words.
    var story: String {
        func row(_ access: Access, _ words: String) -> String {
            let record = access.instruction
            let name = (record.symbol ?? "").padding(to: 14)
            return "   \(Text.grouped(record.position.rawValue))  \(name)\(record.text.padding(to: 34))  \(words)"
        }
        return """
            \(row(load, "the deposit loads \(load.total)"))
            \(row(tick, "a tick makes it \(tick.total)"))
            \(row(store, "the deposit stores \(store.total): the tick is lost"))
            """
    }
}

extension String {
    fileprivate func padding(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
