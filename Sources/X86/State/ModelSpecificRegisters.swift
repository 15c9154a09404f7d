/// The model-specific registers that hold state of their own (Intel SDM Vol. 4). FS and GS bases live in the segments, EFER
/// and the TSC's base beside them.
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
    package var apicBase: UInt64 = 0xFEE0_0900
    package var biosSignature: UInt64 = 0
    /// Added to the board's time-stamp counter: what WRMSR to IA32_TIME_STAMP_COUNTER moves.
    package var tscOffset: UInt64 = 0
    package var tscAux: UInt64 = 0

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
        visitor.integer("apicBase", &apicBase)
        visitor.integer("biosSignature", &biosSignature)
        visitor.integer("tscOffset", &tscOffset)
        visitor.integer("tscAux", &tscAux)
    }
}
