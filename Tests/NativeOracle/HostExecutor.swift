import CHostCPU

/// Runs trials on the host's CPU, at user level in a child process.
package final class HostExecutor: Executor {
    package let name = "host"
    /// How many changed bytes an outcome lists.
    package static let changeLimit = Int(HOST_CPU_CHANGE_LIMIT)
    package var leavesUndefined: Bool { !Self.showsAdoptedFlags }
    package let followsRulings = false
    private let sandbox: OpaquePointer

    package init() throws(OracleError) {
        var error: Int32 = 0
        guard let sandbox = host_cpu_open(&error) else { throw .noSandbox(errno: error) }
        self.sandbox = sandbox
    }

    deinit { host_cpu_close(sandbox) }

    /// Whether 32- and 16-bit trials can run.
    package var hasSegments: Bool { host_cpu_has_segments(sandbox) != 0 }

    /// Whether the host shows what our models adopt for undefined flags.
    package static let showsAdoptedFlags = host_cpu_is_intel() != 0

    /// The sandbox's local descriptor table, as the processor sees it.
    package var descriptors: [UInt64] {
        [UInt64](unsafeUninitializedCapacity: Int(HOST_CPU_DESCRIPTOR_COUNT)) { buffer, count in
            // SAFETY: the buffer has room for HOST_CPU_DESCRIPTOR_COUNT descriptors, which is what the callee writes.
            host_cpu_descriptors(sandbox, buffer.baseAddress)
            count = Int(HOST_CPU_DESCRIPTOR_COUNT)
        }
    }

    package func run(_ trials: [Trial]) throws -> [Outcome] {
        var outcomes: [Outcome] = []
        outcomes.reserveCapacity(trials.count)
        var rest = trials[...]
        while !rest.isEmpty {
            let batch = rest.prefix(Int(HOST_CPU_BATCH))
            rest = rest.dropFirst(batch.count)
            for (slot, trial) in batch.enumerated() { try place(trial, slot: slot) }
            let error = host_cpu_run(sandbox, UInt32(batch.count))
            guard error == 0 else { throw OracleError.noSandbox(errno: error) }
            for (slot, trial) in batch.enumerated() { outcomes.append(outcome(of: trial, slot: slot)) }
        }
        return outcomes
    }

    private func place(_ trial: Trial, slot: Int) throws(OracleError) {
        guard trial.mode == .bits64 || hasSegments else { throw .noSegments }
        guard trial.system.isEmpty else { throw .trialTooLarge("state of system level, in a row that must cite the manual") }
        let patchBytes = trial.memory.reduce(0) { $0 + $1.bytes.count }
        guard trial.bytes.count <= Int(HOST_CPU_CODE_LIMIT), trial.address >= Sandbox.code,
            trial.address + UInt32(trial.bytes.count) <= Sandbox.code + Sandbox.page
        else { throw .trialTooLarge("\(trial.bytes.count) bytes of code at \(trial.address)") }
        guard trial.memory.count <= Int(HOST_CPU_PATCH_LIMIT), patchBytes <= Int(HOST_CPU_PATCH_BYTES) else {
            throw .trialTooLarge("\(trial.memory.count) memory operands with \(patchBytes) bytes")
        }
        // SAFETY: `slot` is below HOST_CPU_BATCH; the counts checked above bound each copy into the fixed arrays.
        let target = host_cpu_trials(sandbox)! + slot
        target.pointee.mode = UInt32(trial.mode.rawValue)
        target.pointee.codeLength = UInt32(trial.bytes.count)
        target.pointee.codeAddress = trial.address
        target.pointee.patchCount = UInt32(trial.memory.count)
        target.pointee.background = trial.background
        target.pointee.registers = HostCPURegisters(trial.registers)
        withUnsafeMutableBytes(of: &target.pointee.code) { $0.copyBytes(from: trial.bytes) }
        withUnsafeMutableBytes(of: &target.pointee.patches) { patches in
            withUnsafeMutableBytes(of: &target.pointee.patchBytes) { bytes in
                var start = 0
                for (number, memory) in trial.memory.enumerated() {
                    let patch = HostCPUPatch(
                        address: memory.address, start: UInt16(start), length: UInt16(memory.bytes.count))
                    patches.storeBytes(of: patch, toByteOffset: number * MemoryLayout<HostCPUPatch>.stride, as: HostCPUPatch.self)
                    UnsafeMutableRawBufferPointer(rebasing: bytes[start...]).copyBytes(from: memory.bytes)
                    start += memory.bytes.count
                }
            }
        }
        target.pointee.usesFX = trial.fx == nil ? 0 : 1
        if let fx = trial.fx {
            guard fx.count == Int(HOST_CPU_FX_SIZE) else { throw .trialTooLarge("an FXSAVE image of \(fx.count) bytes") }
            withUnsafeMutableBytes(of: &target.pointee.fx) { $0.copyBytes(from: fx) }
        }
    }

    private func outcome(of trial: Trial, slot: Int) -> Outcome {
        // SAFETY: `slot` is below HOST_CPU_BATCH; the listed changes are bounded by HOST_CPU_CHANGE_LIMIT.
        let source = host_cpu_outcomes(sandbox)! + slot
        let count = Int(source.pointee.changeCount)
        var changes: [MemoryChange] = []
        if count > 0 && source.pointee.ending != UInt32(HOST_CPU_DIED) {
            withUnsafeBytes(of: source.pointee.changes) { raw in
                for change in raw.bindMemory(to: HostCPUChange.self).prefix(min(count, Self.changeLimit)) {
                    changes.append(MemoryChange(address: change.address, value: UInt8(truncatingIfNeeded: change.value)))
                }
            }
        }
        var fx: [UInt8]?
        if trial.fx != nil { fx = withUnsafeBytes(of: source.pointee.fx) { [UInt8]($0) } }
        let ending: Ending =
            switch source.pointee.ending {
            case UInt32(HOST_CPU_RETIRED): .retired
            case UInt32(HOST_CPU_TIMED_OUT): .endless
            case UInt32(HOST_CPU_DIED): .died(signal: Int(source.pointee.signal))
            default:
                .exception(
                    vector: UInt8(truncatingIfNeeded: source.pointee.vector),
                    errorCode: UInt32(truncatingIfNeeded: source.pointee.errorCode),
                    address: source.pointee.faultAddress)
            }
        return Outcome(
            ending: ending, registers: Registers(source.pointee.registers), changes: changes, changeCount: count, fx: fx)
    }
}

extension HostCPURegisters {
    init(_ registers: Registers) {
        self.init()
        withUnsafeMutableBytes(of: &gpr) { raw in
            withUnsafeBytes(of: registers.gpr) { raw.copyBytes(from: $0) }
        }
        rip = registers.rip
        rflags = registers.rflags
        es = registers.es
        cs = registers.cs
        ss = registers.ss
        ds = registers.ds
        fs = registers.fs
        gs = registers.gs
    }
}

extension Registers {
    init(_ registers: HostCPURegisters) {
        self.init()
        withUnsafeMutableBytes(of: &gpr) { raw in
            withUnsafeBytes(of: registers.gpr) { raw.copyBytes(from: $0) }
        }
        rip = registers.rip
        rflags = registers.rflags
        es = registers.es
        cs = registers.cs
        ss = registers.ss
        ds = registers.ds
        fs = registers.fs
        gs = registers.gs
    }
}
