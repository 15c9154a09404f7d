import Devices
import VirtualPC
import X86

/// An instruction in a run, with where and when it stands.
package struct InstructionRecord: Hashable, Sendable {
    /// The boundary before the instruction.
    package var position: Position
    /// The virtual time of that boundary.
    package var time: VirtualTime
    /// `ExecutionMode`'s text.
    package var mode: String
    package var cpl: Int
    /// The linear address of CS:RIP.
    package var address: UInt64
    /// CS.
    package var selector: UInt16
    /// The instruction's bytes. Where none can be made out: what there is, 15 at most.
    package var bytes: [UInt8]
    /// Intel syntax; `(bad)` where no instruction starts with the bytes, `(not mapped)` where there are none.
    package var text: String
    /// The name of `address`, where symbols are known: `do_exit+0x12`.
    package var symbol: String?

    package init(
        position: Position, time: VirtualTime, mode: String, cpl: Int, address: UInt64, selector: UInt16, bytes: [UInt8], text: String,
        symbol: String?
    ) {
        self.position = position
        self.time = time
        self.mode = mode
        self.cpl = cpl
        self.address = address
        self.selector = selector
        self.bytes = bytes
        self.text = text
        self.symbol = symbol
    }
}

extension Machine {
    /// The instruction at CS:RIP at this boundary. It is what executes next, unless an interrupt is taken first or the machine is
    /// halted. Looking changes nothing.
    package func nextInstruction(symbols: Symbols? = nil) -> InstructionRecord {
        let address = processor.instructionAddress
        let base = processor.codeBase
        let found = processor.bytes(at: address, count: 15)
        let decoded = Disassembler().text(found, width: processor.codeWidth, address: processor.state.rip) {
            symbols?.name(of: base &+ $0)
        }
        return InstructionRecord(
            position: position, time: now, mode: processor.mode.rawValue, cpl: processor.privilegeLevel, address: address,
            selector: processor.state.segments[SegmentIndex.cs].selector, bytes: decoded.map { Array(found.prefix($0.length)) } ?? found,
            text: decoded?.text ?? (found.isEmpty ? "(not mapped)" : "(bad)"), symbol: symbols?.name(of: address))
    }
}
