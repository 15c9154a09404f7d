/// The model-specific registers that hold state of their own (Intel SDM Vol. 4). FS and GS bases live in the segments, EFER
/// beside them, IA32_APIC_BASE and IA32_TSC_DEADLINE in the local APIC.
package struct ModelSpecificRegisters: Fields {
    package var sysenterCS: UInt64 = 0
    package var sysenterESP: UInt64 = 0
    package var sysenterEIP: UInt64 = 0
    package var star: UInt64 = 0
    package var lstar: UInt64 = 0
    package var cstar: UInt64 = 0
    package var fmask: UInt64 = 0
    package var kernelGSBase: UInt64 = 0
    package var pat: UInt64 = 0x0007_0406_0007_0406
    package var miscEnable: UInt64 = 0
    package var debugControl: UInt64 = 0
    package var biosSignature: UInt64 = 0
    /// Added to the board's time-stamp counter: what WRMSR to IA32_TIME_STAMP_COUNTER moves.
    package var tscOffset: UInt64 = 0
    package var tscAux: UInt64 = 0
    package var machineCheckStatus: UInt64 = 0
    package var mtrrDefaultType: UInt64 = 0
    /// IA32_MTRR_FIX64K_00000, FIX16K_80000 and A0000, FIX4K_C0000 to F8000.
    package var mtrrFixed = InlineArray<11, UInt64>(repeating: 0)
    /// IA32_MTRR_PHYSBASE0, PHYSMASK0, PHYSBASE1 and so on.
    package var mtrrVariable = InlineArray<16, UInt64>(repeating: 0)

    package init() {}

    package mutating func fields(_ visitor: inout some FieldVisitor) {
        visitor.integer("sysenterCS", &sysenterCS)
        visitor.integer("sysenterESP", &sysenterESP)
        visitor.integer("sysenterEIP", &sysenterEIP)
        visitor.integer("star", &star)
        visitor.integer("lstar", &lstar)
        visitor.integer("cstar", &cstar)
        visitor.integer("fmask", &fmask)
        visitor.integer("kernelGSBase", &kernelGSBase)
        visitor.integer("pat", &pat)
        visitor.integer("miscEnable", &miscEnable)
        visitor.integer("debugControl", &debugControl)
        visitor.integer("biosSignature", &biosSignature)
        visitor.integer("tscOffset", &tscOffset)
        visitor.integer("tscAux", &tscAux)
        visitor.integer("machineCheckStatus", &machineCheckStatus)
        visitor.integer("mtrrDefaultType", &mtrrDefaultType)
        for index in 0..<11 {
            visitor.begin("mtrrFixed", index: index)
            visitor.integer("value", &mtrrFixed[index])
            visitor.end()
        }
        for index in 0..<16 {
            visitor.begin("mtrrVariable", index: index)
            visitor.integer("value", &mtrrVariable[index])
            visitor.end()
        }
    }
}
