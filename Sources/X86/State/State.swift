/// The architected state of one vCPU. Nothing lazy, nothing cached: what is here is right at every boundary, and what is
/// not here is not part of the machine.
package struct State: Fields {
    // The layout of the first fields is relied upon by effective addresses: see `Instruction.base`.
    /// RAX RCX RDX RBX RSP RBP RSI RDI R8-R15.
    package var gpr = InlineArray<16, UInt64>(repeating: 0)
    package var rip: UInt64 = 0
    /// Always 0: what an address form without base or index adds.
    let zero: UInt64 = 0
    package var rflags: UInt64 = Flag.fixed
    /// Steps made since power-on.
    package var position: UInt64 = 0

    /// ES CS SS DS FS GS LDTR TR.
    package var segments = InlineArray<8, Segment>(repeating: Segment())
    package var gdtr = TableRegister(base: 0, limit: 0xFFFF)
    package var idtr = TableRegister(base: 0, limit: 0xFFFF)
    package var cpl: UInt8 = 0

    package var cr0: UInt64 = 0
    package var cr2: UInt64 = 0
    package var cr3: UInt64 = 0
    package var cr4: UInt64 = 0
    package var efer: UInt64 = 0
    /// The four PAE page-directory-pointer entries, loaded by writes to CR0, CR3 and CR4 (ruling R7).
    package var pdpte = InlineArray<4, UInt64>(repeating: 0)
    /// DR0-DR3.
    package var dr = InlineArray<4, UInt64>(repeating: 0)
    package var dr6: UInt64 = 0xFFFF_0FF0
    package var dr7: UInt64 = 0x400

    package var msr = ModelSpecificRegisters()
    package var fpu = FloatingPointState()

    /// What holds off interrupts for exactly one step (ruling R21).
    package var shadow = Shadow.none
    /// DR6 bits of a #DB trap to be taken at the next boundary; 0: none.
    package var pendingDebug: UInt64 = 0
    package var activity = Activity.active
    package var nmiPending = false
    /// NMIs are blocked until the next IRET.
    package var nmiBlocked = false

    /// What RDRAND reads (contract 2). Keeps running over a reset, as the position does.
    package var entropy = SeededStream(seed: 0, purpose: .processor)

    package enum Shadow: UInt8, Sendable { case none, sti, movSS }
    package enum Activity: UInt8, Sendable { case active, halted, shutdown }

    package init() {}

    package mutating func fields(_ visitor: inout some FieldVisitor) {
        visitor.integer("rax", &gpr[0])
        visitor.integer("rcx", &gpr[1])
        visitor.integer("rdx", &gpr[2])
        visitor.integer("rbx", &gpr[3])
        visitor.integer("rsp", &gpr[4])
        visitor.integer("rbp", &gpr[5])
        visitor.integer("rsi", &gpr[6])
        visitor.integer("rdi", &gpr[7])
        visitor.integer("r8", &gpr[8])
        visitor.integer("r9", &gpr[9])
        visitor.integer("r10", &gpr[10])
        visitor.integer("r11", &gpr[11])
        visitor.integer("r12", &gpr[12])
        visitor.integer("r13", &gpr[13])
        visitor.integer("r14", &gpr[14])
        visitor.integer("r15", &gpr[15])
        visitor.integer("rip", &rip)
        visitor.integer("rflags", &rflags)
        visitor.integer("position", &position)
        visitor.group("es", &segments[SegmentIndex.es])
        visitor.group("cs", &segments[SegmentIndex.cs])
        visitor.group("ss", &segments[SegmentIndex.ss])
        visitor.group("ds", &segments[SegmentIndex.ds])
        visitor.group("fs", &segments[SegmentIndex.fs])
        visitor.group("gs", &segments[SegmentIndex.gs])
        visitor.group("ldtr", &segments[SegmentIndex.ldtr])
        visitor.group("tr", &segments[SegmentIndex.tr])
        visitor.group("gdtr", &gdtr)
        visitor.group("idtr", &idtr)
        visitor.integer("cpl", &cpl)
        visitor.integer("cr0", &cr0)
        visitor.integer("cr2", &cr2)
        visitor.integer("cr3", &cr3)
        visitor.integer("cr4", &cr4)
        visitor.integer("efer", &efer)
        for index in 0..<4 {
            visitor.begin("pdpte", index: index)
            visitor.integer("value", &pdpte[index])
            visitor.end()
        }
        visitor.integer("dr0", &dr[0])
        visitor.integer("dr1", &dr[1])
        visitor.integer("dr2", &dr[2])
        visitor.integer("dr3", &dr[3])
        visitor.integer("dr6", &dr6)
        visitor.integer("dr7", &dr7)
        visitor.group("msr", &msr)
        visitor.group("fpu", &fpu)
        visitor.choice("shadow", &shadow)
        visitor.integer("pendingDebug", &pendingDebug)
        visitor.choice("activity", &activity)
        visitor.bool("nmiPending", &nmiPending)
        visitor.bool("nmiBlocked", &nmiBlocked)
        visitor.integer("entropy", &entropy.state)
    }
}
