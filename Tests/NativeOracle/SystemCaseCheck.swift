import X86

/// Holds rows of `Cases/system`, which cite the manual, against an engine, on a `SystemGuest`: every field of the state and every byte of
/// its memory must be what the row says, or what it was.
///
/// `mode 16` is real mode, unless the row sets CR0.PE or `vm=1`. `cpl=3` chooses segments of level 3. System state is
/// named as in `State`: `cr0`, `gdtr.base`, `cs.rights`, `msr.star`, `activity`. `cs=8` alone stands for the whole segment
/// that the descriptor table has there. `io.port` and `io.value` are the port last used, and what was written to it; `cr8`, too,
/// stands on the bus.
package final class SystemCaseCheck {
    private let disassembler = Disassembler()
    private let knobs: EngineKnobs

    package init(knobs: EngineKnobs = EngineKnobs()) { self.knobs = knobs }

    /// The rows of a file that fail; rows without citation are not looked at.
    package func failures(in file: CaseFile) throws -> [CaseFailure] {
        var failures: [CaseFailure] = []
        for row in file.rows where row.citation != nil {
            for reason in try reasons(row) { failures.append(CaseFailure(file: file.path, row: row, reason: reason)) }
        }
        return failures
    }

    private func reasons(_ row: CaseRow) throws -> [String] {
        guard let expectation = row.expectation else { return ["has no expectation"] }
        let guest = try SystemGuest(mode: row.mode, knobs: knobs)
        func input(_ name: String) -> UInt64? { row.inputs.last { $0.target.name == name }?.value }
        let isVirtual = input("vm") == 1
        let isReal = row.mode == .bits16 && !isVirtual && (input("cr0") ?? 0) & CR0.pe == 0
        guest.writeTables(isReal: isReal)
        var state = guest.initialState(
            isReal: isReal, level: isVirtual ? 3 : UInt8(truncatingIfNeeded: input("cpl") ?? 0), isVirtual: isVirtual)
        for part in row.inputs {
            if case .memory(let address, _) = part.target { guest.write(UInt64(address), part.bytes) }
        }
        let standard = Trial(mode: row.mode, bytes: row.bytes).registers
        state.rip = standard.rip
        state.gpr[GPR.rsp] = standard.gpr[4]
        state.rflags |= standard.rflags
        for part in row.inputs {
            if part.target == .system(name: "cr8") {
                guest.bus.taskPriority = part.value
                continue
            }
            guard assign(part, to: &state, guest) else { return ["\(part.target.name) is not known here"] }
        }
        let code = state.rip &+ state.segments[SegmentIndex.cs].base
        guest.write(code, row.bytes)
        guest.processor.state = state
        let before = guest.memory
        let exit = guest.step()
        guard exit == .position || exit == .attention else { return ["ends as \(exit)"] }

        var actual = guest.processor.state
        var ignored = 0..<0
        if let exception = expectation.exception {
            let at = actual.segments[SegmentIndex.cs].base &+ actual.rip &- SystemGuest.handlers
            guard at == 16 * UInt64(exception.vector) else {
                return ["expected \(exception), is at 0x\(String(actual.rip, radix: 16))"]
            }
            var errorCode: UInt64 = 0
            ignored = unwind(&actual, from: state, vector: exception.vector, isReal: isReal, guest, &errorCode)
            if errorCode != UInt64(exception.errorCode) { return ["expected \(exception), the error code is 0x\(String(errorCode, radix: 16))"] }
        }

        var expected = state
        expected.position += 1
        if let exception = expectation.exception {
            if exception.setsResumeFlag, !isReal { expected.rflags |= Flag.rf }
        } else {
            expected.rip = state.rip &+ UInt64(disassembler.decode(row.bytes, mode: row.mode)?.length ?? row.bytes.count)
        }
        var memory = before
        var io: [String: UInt64] = ["cr8": input("cr8") ?? 0]
        for change in expectation.changes {
            switch change.target {
            case .memory(let address, _): memory.replaceSubrange(Int(address)..<Int(address) + change.bytes.count, with: change.bytes)
            case .system(let name) where name.hasPrefix("io.") || name == "cr8": io[name] = change.value
            default:
                guard assign(change, to: &expected, guest) else { return ["\(change.target.name) is not known here"] }
            }
        }

        var reasons: [String] = []
        func compare(_ name: String, _ expected: UInt64, _ actual: UInt64) {
            guard expected != actual else { return }
            reasons.append("\(name): row 0x\(String(expected, radix: 16)), engine 0x\(String(actual, radix: 16))")
        }
        for (first, second) in zip(SystemFields.all(expected), SystemFields.all(actual)) { compare(first.name, first.value, second.value) }
        compare("io.port", io["io.port"] ?? 0, guest.bus.port)
        compare("io.value", io["io.value"] ?? 0, guest.bus.value)
        compare("cr8", io["cr8"] ?? 0, guest.bus.taskPriority)
        let after = guest.memory
        if after != memory {
            for address in after.indices where !ignored.contains(address) {
                compare("[0x\(String(address, radix: 16))]", UInt64(memory[address]), UInt64(after[address]))
            }
        }
        return reasons
    }

    /// Sets what an assignment names; false: it names nothing that this machine has.
    private func assign(_ assignment: CaseAssignment, to state: inout State, _ guest: SystemGuest) -> Bool {
        switch assignment.target {
        case .general(let index, let shift, let width, _):
            let mask: UInt64 = (width == 8 ? .max : (1 << UInt64(8 * width)) - 1) << UInt64(shift)
            state.gpr[index] = state.gpr[index] & ~mask | assignment.value << UInt64(shift) & mask
        case .instructionPointer: state.rip = assignment.value
        case .flag(let flag, _): state.rflags = state.rflags & ~flag.rawValue | (assignment.value == 0 ? 0 : flag.rawValue)
        case .faultAddress: state.cr2 = assignment.value
        case .segment(let segment):
            let names: [CaseAssignment.Segment] = [.es, .cs, .ss, .ds, .fs, .gs]
            guard let index = names.firstIndex(of: segment) else { return false }
            state.segments[index] = guest.segment(index, UInt16(truncatingIfNeeded: assignment.value), state)
        case .memory: break
        case .fx: return false
        case .system(name: "iopl"): state.rflags = state.rflags & ~Flag.iopl | (assignment.value & 3) << 12
        case .system(let name):
            guard SystemFields.names.contains(name) else { return false }
            SystemFields.assign([SystemField(name: name, value: assignment.value)], to: &state)
        }
        return true
    }

    /// Takes an exception back by its frame (Intel SDM Vol. 3A 6.12.1, 6.14.2; Vol. 3B 20.3.1); returns where the frame lay.
    private func unwind(
        _ state: inout State, from before: borrowing State, vector: UInt8, isReal: Bool, _ guest: SystemGuest, _ errorCode: inout UInt64
    ) -> Range<Int> {
        let isLong = state.efer & EFER.lma != 0
        let width = isReal ? 2 : isLong ? 8 : 4
        let bottom = state.segments[SegmentIndex.ss].base &+ (isReal ? state.gpr[GPR.rsp] & 0xffff : state.gpr[GPR.rsp])
        var top = bottom
        func pop() -> UInt64 {
            defer { top += UInt64(width) }
            return guest.read(top, width)
        }
        if !isReal, CaseException.names.contains(where: { $0.vector == vector && $0.hasErrorCode }) { errorCode = pop() }
        let isInner = state.cpl != before.cpl
        state.rip = pop()
        let cs = UInt16(truncatingIfNeeded: pop())
        state.segments[SegmentIndex.cs] = before.segments[SegmentIndex.cs]
        state.segments[SegmentIndex.cs].selector = cs
        let flags = pop()
        state.rflags = isReal ? state.rflags & ~0xffff | flags : flags
        state.cpl = before.cpl
        if isLong || isInner {
            state.gpr[GPR.rsp] = pop()
            let ss = UInt16(truncatingIfNeeded: pop())
            state.segments[SegmentIndex.ss] = before.segments[SegmentIndex.ss]
            state.segments[SegmentIndex.ss].selector = ss
        } else {
            state.gpr[GPR.rsp] &+= top - bottom
        }
        if flags & Flag.vm != 0, !isReal {
            for index in [SegmentIndex.es, SegmentIndex.ds, SegmentIndex.fs, SegmentIndex.gs] {
                state.segments[index] = .real(UInt16(truncatingIfNeeded: pop()), rights: .virtual8086)
            }
        }
        return Int(bottom)..<Int(top)
    }
}
