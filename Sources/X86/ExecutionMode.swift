/// The mode of a processor with the width of its code (Intel SDM Vol. 3A 2.2, 3.2.1).
package enum ExecutionMode: String, Hashable, Sendable, CaseIterable {
    case real
    case virtual8086 = "virtual-8086"
    case protected16 = "protected 16"
    case protected32 = "protected 32"
    case compatibility16 = "compatibility 16"
    case compatibility32 = "compatibility 32"
    case long64 = "long 64"
}

extension Processor {
    package var mode: ExecutionMode {
        let cpu = CPU(core)
        if !cpu.isProtected { return .real }
        if cpu.isVirtual8086 { return .virtual8086 }
        switch (cpu.isLongMode, core.pointee.codeMode) {
        case (true, 2): return .long64
        case (true, 1): return .compatibility32
        case (true, _): return .compatibility16
        case (false, 1): return .protected32
        case (false, _): return .protected16
        }
    }

    /// The current privilege level, 0 to 3.
    package var privilegeLevel: Int { Int(core.pointee.state.cpl) }

    /// Bits of the code segment: 16, 32 or 64.
    package var codeWidth: Int { 16 << Int(core.pointee.codeMode) }

    /// The linear address of the code segment's first byte.
    package var codeBase: UInt64 { core.pointee.segmentCache[SegmentIndex.cs].base }

    /// The linear address of CS:RIP.
    package var instructionAddress: UInt64 { (codeBase &+ core.pointee.state.rip) & core.pointee.linearMask }
}
