import X86

/// Code that runs before a trial and makes it find its memory in the TLB, as code in a loop does: else each access of a trial
/// would be a TLB's first. It leaves no trace but in the accessed and dirty bits, and in the code page.
struct WarmUp {
    /// Where its code stands, a linear address.
    let address: UInt32
    let bytes: [UInt8]
    /// The instructions that it consists of.
    let steps: UInt64

    /// Nil for trials whose segments are not the usual ones, or that trap at each step.
    init?(for trial: Trial) {
        guard trial.system.isEmpty, trial.registers.rflags & Flag.tf == 0 else { return nil }
        let standard = Trial(mode: trial.mode, bytes: []).registers
        let base = UInt64(trial.mode.segmentBase)
        let isNarrow = trial.mode == .bits16
        guard trial.registers.cs == standard.cs, trial.registers.ds == standard.ds, trial.registers.rip == standard.rip &+ UInt64(trial.address &- Sandbox.code)
        else {
            return nil
        }
        // Away from the trial's bytes.
        address = Sandbox.code + (trial.address & 0xFFF < 0x800 ? 0xA00 : 0x40)
        var code: [UInt8] = []
        func put(_ value: UInt64, _ count: Int) { code += (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) } }
        var steps: UInt64 = 0
        for page in [Sandbox.data, Sandbox.data + Sandbox.page, Sandbox.stack] {
            // NOT byte [page], which changes no flags, and again.
            for _ in 0..<2 {
                code += isNarrow ? [0xF6, 0x16] : [0xF6, 0x14, 0x25]
                put(UInt64(page) - base, isNarrow ? 2 : 4)
                steps += 1
            }
        }
        // MOV EAX, [read-only page]; then RAX is what it was.
        code += isNarrow ? [0x8B, 0x06] : [0x8B, 0x04, 0x25]
        put(UInt64(Sandbox.readOnly) - base, isNarrow ? 2 : 4)
        code += trial.mode == .bits64 ? [0x48, 0xB8] : isNarrow ? [0x66, 0xB8] : [0xB8]
        put(trial.registers.gpr[0], trial.mode == .bits64 ? 8 : 4)
        // JMP to the trial.
        code.append(0xE9)
        let length = isNarrow ? 2 : 4
        put(UInt64(trial.address &- address &- UInt32(code.count + length)), length)
        bytes = code
        self.steps = steps + 3
    }
}
