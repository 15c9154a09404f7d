import CZydis

/// Takes away from a trial what its mismatch does not need, until it fits a row.
final class Shrinker {
    private let oracle: any Executor
    private let subject: any Executor
    private let disassembler = Disassembler()

    init(oracle: any Executor, subject: any Executor) {
        self.oracle = oracle
        self.subject = subject
    }

    /// What the two executors are called.
    var names: (String, String) { (oracle.name, subject.name) }

    /// The smallest row found on which the executors still differ; nil if none does without the background.
    func row(for original: Trial) throws -> CaseRow? {
        var trial = original
        guard let kind = try mismatch(original) else { return nil }
        func differs(_ candidate: Trial) throws -> Bool { try mismatch(candidate) == kind }
        if trial.background != 0 {
            var candidate = trial
            candidate.background = 0
            candidate.memory = windows(of: trial)
            guard try differs(candidate) else { return nil }
            trial = candidate
        }
        let standard = Trial(mode: trial.mode, bytes: trial.bytes)
        func attempt(_ change: (inout Trial) -> Void) throws {
            var candidate = trial
            change(&candidate)
            if try differs(candidate) { trial = candidate }
        }
        for index in 0..<16 { try attempt { $0.registers.gpr[index] = standard.registers.gpr[index] } }
        for (_, flag) in Flags.named where flag != .interrupt { try attempt { $0.registers.rflags &= ~flag.rawValue } }
        for target in CaseAssignment.Target.printedFields {
            guard case .fx(let offset, let width, _) = target else { continue }
            let range = offset..<offset + width
            try attempt { $0.fx?.replaceSubrange(range, with: CaseRow.initialFX[range]) }
        }
        for index in trial.memory.indices.reversed() { try attempt { $0.memory.remove(at: index) } }
        try attempt {
            $0.address = standard.address
            $0.registers.rip = standard.registers.rip
        }
        for index in trial.memory.indices {
            for byte in trial.memory[index].bytes.indices { try attempt { $0.memory[index].bytes[byte] = 0 } }
            while trial.memory[index].bytes.count > 1, trial.memory[index].bytes.last == 0 { trial.memory[index].bytes.removeLast() }
            while trial.memory[index].bytes.count > 1, trial.memory[index].bytes.first == 0 {
                trial.memory[index].bytes.removeFirst()
                trial.memory[index].address += 1
            }
        }
        trial.memory.removeAll { $0.bytes.allSatisfy { $0 == 0 } }
        return try caseRow(trial)
    }

    /// How a mismatch looks from afar: a smaller trial must not show another one.
    private struct Kind: Equatable {
        var oracleRetires: Bool
        var subjectRetires: Bool
        var endsDiffer: Bool
    }

    /// Nil where the executors agree.
    private func mismatch(_ trial: Trial) throws -> Kind? {
        let expected = try oracle.run([trial])[0]
        let actual = try subject.run([trial])[0]
        let differences = Comparison.differences(
            oracle: oracle, expected, subject: subject, actual, of: trial, disassembler.decode(trial.bytes, mode: trial.mode))
        guard !differences.isEmpty else { return nil }
        return Kind(
            oracleRetires: expected.ending == .retired, subjectRetires: actual.ending == .retired,
            endsDiffer: expected.ending != actual.ending)
    }

    /// What a trial's memory holds around each of its operands.
    private func windows(of trial: Trial) -> [MemoryBytes] {
        let image = MemoryImage(of: trial)
        var starts: [UInt64] = []
        let mode = trial.mode
        let mask: UInt64 = mode == .bits16 ? 0xffff : mode == .bits32 ? 0xffff_ffff : .max
        // The stack, the strings, and every operand's base: more than is needed, to be taken away again.
        for index in [4, 5, 6, 7] { starts.append((trial.registers.gpr[index] & mask &+ mode.segmentBase) &- 24) }
        if let disassembly = disassembler.decode(trial.bytes, mode: mode) {
            var setup = Setup(bytes: trial.bytes, disassembly: disassembly, mode: mode, background: 0)
            setup.trial = trial
            for index in 0..<disassembly.operandCount where disassembly.operand(index).type == ZYDIS_OPERAND_TYPE_MEMORY {
                starts.append(setup.linearAddress(of: disassembly.operand(index)) &- 24)
            }
        }
        var windows: [MemoryBytes] = []
        for start in starts.suffix(7) {
            var bytes: [UInt8] = []
            var first: UInt32?
            for offset in 0..<UInt64(120) {
                guard let address = UInt32(exactly: start &+ offset), let byte = image[address] else { continue }
                if first == nil { first = address }
                if first! + UInt32(bytes.count) == address { bytes.append(byte) }
            }
            if let first, !windows.contains(where: { $0.address == first }) { windows.append(MemoryBytes(address: first, bytes: bytes)) }
        }
        return windows
    }

    /// A trial as a row, with the oracle's outcome as its expectation.
    private func caseRow(_ trial: Trial) throws -> CaseRow {
        let standard = Trial(mode: trial.mode, bytes: trial.bytes)
        var inputs: [CaseAssignment] = []
        if trial.registers.rip != standard.registers.rip {
            inputs.append(CaseAssignment(target: .instructionPointer(mode: trial.mode), value: trial.registers.rip))
        }
        for index in 0..<trial.mode.registerCount where trial.registers.gpr[index] & trial.mode.registerMask != standard.registers.gpr[index] {
            inputs.append(CaseAssignment(target: .general(index, mode: trial.mode), value: trial.registers.gpr[index] & trial.mode.registerMask))
        }
        for (name, flag) in Flags.named where (trial.registers.rflags ^ standard.registers.rflags) & flag.rawValue != 0 {
            inputs.append(CaseAssignment(target: .flag(flag, name: name), value: trial.registers.rflags & flag.rawValue == 0 ? 0 : 1))
        }
        for segment in CaseAssignment.Segment.allCases where trial.registers[keyPath: segment.path] != standard.registers[keyPath: segment.path] {
            inputs.append(CaseAssignment(target: .segment(segment), value: UInt64(trial.registers[keyPath: segment.path])))
        }
        if let fx = trial.fx {
            for target in CaseAssignment.Target.printedFields {
                guard case .fx(let offset, let width, _) = target else { continue }
                let range = offset..<offset + width
                if fx[range] != CaseRow.initialFX[range] { inputs.append(CaseAssignment(target: target, bytes: Array(fx[range]))) }
            }
        }
        for part in trial.memory {
            inputs.append(CaseAssignment(target: .memory(address: part.address, count: part.bytes.count), bytes: part.bytes))
        }
        let length = disassembler.decode(trial.bytes, mode: trial.mode)?.length ?? trial.bytes.count
        return CaseRow(
            mode: trial.mode, statesMode: true, bytes: trial.bytes, text: disassembler.text(of: trial), inputs: inputs,
            expectation: CaseExpectation(try oracle.run([trial])[0], of: trial, length: length), citation: nil, line: 0)
    }
}
