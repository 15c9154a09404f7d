extension CaseRow {
    /// The state after FNINIT and with MXCSR as at reset (Intel SDM Vol. 1 8.1.5, 10.2.3).
    static let initialFX: [UInt8] = {
        var image = [UInt8](repeating: 0, count: 512)
        image[0] = 0x7f
        image[1] = 0x03
        image[24] = 0x80
        image[25] = 0x1f
        return image
    }()

    /// Whether x87 or SSE state is part of the row.
    private func usesFX(_ disassembler: Disassembler) -> Bool {
        let targets = inputs.map(\.target) + (expectation?.changes ?? []).map(\.target)
        let isNamed = targets.contains { if case .fx = $0 { true } else { false } }
        return isNamed || disassembler.decode(bytes, mode: mode)?.touchesFX == true
    }

    /// What the row's bytes find.
    package func trial(_ disassembler: Disassembler) -> Trial {
        var trial = Trial(mode: mode, bytes: bytes)
        if usesFX(disassembler) { trial.fx = Self.initialFX }
        if inputs.contains(where: { $0.target == .system(name: "cpl") && $0.value == 0 }) {
            trial.registers.cs = mode == .bits64 ? Sandbox.kernelCode64 : Sandbox.kernelCode32
            trial.registers.ss = Sandbox.kernelData
        }
        for input in inputs {
            switch input.target {
            case .instructionPointer:
                trial.registers.rip = input.value
                trial.address = UInt32(truncatingIfNeeded: input.value &+ mode.segmentBase)
            case .memory(let address, _):
                trial.memory.append(MemoryBytes(address: address, bytes: input.bytes))
            case .fx(let offset, let width, _):
                trial.fx?.replaceSubrange(offset..<offset + width, with: input.bytes)
            case .system, .faultAddress:
                trial.system.append(SystemField(name: input.target.name, value: input.value))
            default:
                trial.registers.assign(input)
            }
        }
        return trial
    }

    /// What the row says the bytes leave; nil if it is still to be filled in.
    package func outcome(of trial: Trial, _ disassembler: Disassembler) -> Outcome? {
        guard let expectation else { return nil }
        var outcome = Outcome(ending: .retired, registers: trial.registers, fx: trial.fx)
        if let exception = expectation.exception {
            outcome.ending = .exception(vector: exception.vector, errorCode: exception.errorCode, address: 0)
            if exception.setsResumeFlag { outcome.registers.rflags |= Flags.rf.rawValue }
        } else {
            let length = disassembler.decode(bytes, mode: mode)?.length ?? bytes.count
            outcome.registers.rip = trial.registers.rip &+ UInt64(length)
        }
        let before = MemoryImage(of: trial)
        var after = before
        for change in expectation.changes {
            switch change.target {
            case .instructionPointer:
                outcome.registers.rip = change.value
            case .faultAddress:
                if case .exception(let vector, let errorCode, _) = outcome.ending {
                    outcome.ending = .exception(vector: vector, errorCode: errorCode, address: change.value)
                } else {
                    outcome.system.append(SystemField(name: change.target.name, value: change.value))
                }
            case .system(let name):
                outcome.system.append(SystemField(name: name, value: change.value))
            case .memory(let address, _):
                after.apply([MemoryBytes(address: address, bytes: change.bytes)])
            case .fx(let offset, let width, _):
                outcome.fx?.replaceSubrange(offset..<offset + width, with: change.bytes)
            default:
                outcome.registers.assign(change)
            }
        }
        outcome.changes = after.changes(from: before)
        outcome.changeCount = outcome.changes.count
        return outcome
    }
}

extension Registers {
    /// Sets a general register, flag or segment selector; other targets are not registers.
    mutating func assign(_ assignment: CaseAssignment) {
        switch assignment.target {
        case .general(let index, let shift, let width, _):
            let mask: UInt64 = (width == 8 ? .max : (1 << UInt64(8 * width)) - 1) << UInt64(shift)
            gpr[index] = gpr[index] & ~mask | assignment.value << UInt64(shift) & mask
        case .flag(let flag, _):
            rflags = rflags & ~flag.rawValue | (assignment.value == 0 ? 0 : flag.rawValue)
        case .segment(let segment):
            self[keyPath: segment.path] = UInt16(truncatingIfNeeded: assignment.value)
        case .instructionPointer, .memory, .faultAddress, .fx, .system:
            break
        }
    }
}

extension CaseExpectation {
    /// An outcome as a row states it: what changed. Nil if the outcome is none that a row can state.
    package init?(_ outcome: Outcome, of trial: Trial, length: Int) {
        changes = []
        var standard = trial.registers
        switch outcome.ending {
        case .retired:
            standard.rip = trial.registers.rip &+ UInt64(length)
        case .exception(let vector, let errorCode, let address):
            let exception = CaseException(vector: vector, errorCode: errorCode)
            self.exception = exception
            if exception.setsResumeFlag { standard.rflags |= Flags.rf.rawValue }
            if vector == 14 { changes.append(CaseAssignment(target: .faultAddress, value: address)) }
        case .endless, .died, .unimplemented, .stopped:
            return nil
        }
        let mode = trial.mode
        for index in 0..<mode.registerCount {
            let value = outcome.registers.gpr[index] & mode.registerMask
            guard value != standard.gpr[index] & mode.registerMask else { continue }
            changes.append(CaseAssignment(target: .general(index, mode: mode), value: value))
        }
        if outcome.registers.rip != standard.rip {
            changes.append(CaseAssignment(target: .instructionPointer(mode: mode), value: outcome.registers.rip))
        }
        for (name, flag) in Flags.named {
            let value = outcome.registers.rflags & flag.rawValue
            guard value != standard.rflags & flag.rawValue else { continue }
            changes.append(CaseAssignment(target: .flag(flag, name: name), value: value == 0 ? 0 : 1))
        }
        for segment in CaseAssignment.Segment.allCases {
            let value = outcome.registers[keyPath: segment.path]
            guard value != standard[keyPath: segment.path] else { continue }
            changes.append(CaseAssignment(target: .segment(segment), value: UInt64(value)))
        }
        if let before = trial.fx, let after = outcome.fx {
            for target in CaseAssignment.Target.printedFields {
                guard case .fx(let offset, let width, _) = target, before[offset..<offset + width] != after[offset..<offset + width]
                else { continue }
                changes.append(CaseAssignment(target: target, bytes: Array(after[offset..<offset + width])))
            }
        }
        let image = MemoryImage(of: trial)
        changes += Self.memory(outcome.changes, over: image).map { part in
            CaseAssignment(target: .memory(address: part.address, count: part.bytes.count), bytes: part.bytes)
        }
    }

    /// Changed bytes joined to runs; what did not change between two of them stands as it was.
    private static func memory(_ changes: [MemoryChange], over image: MemoryImage) -> [MemoryBytes] {
        var parts: [MemoryBytes] = []
        for change in changes {
            if var last = parts.last, change.address - (last.address + UInt32(last.bytes.count)) < 8,
                MemoryImage.index(of: last.address).map({ $0 / Int(Sandbox.page) })
                    == MemoryImage.index(of: change.address).map({ $0 / Int(Sandbox.page) })
            {
                while last.address + UInt32(last.bytes.count) < change.address {
                    last.bytes.append(image[last.address + UInt32(last.bytes.count)] ?? 0)
                }
                last.bytes.append(change.value)
                parts[parts.count - 1] = last
            } else {
                parts.append(MemoryBytes(address: change.address, bytes: [change.value]))
            }
        }
        return parts
    }
}
