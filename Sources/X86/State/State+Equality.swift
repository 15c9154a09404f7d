extension State {
    /// Whether two states hold the same in every field: quick enough to be asked behind each block.
    package static func areEqual(_ a: UnsafePointer<State>, _ b: UnsafePointer<State>) -> Bool {
        words(a, b, \.gpr, 20) && words(a, b, \.segments, 16) && words(a, b, \.fpu.xmm, 32) && words(a, b, \.msr, 43)
            && words(a, b, \.pdpte, 4) && words(a, b, \.dr, 4) && haveSameControl(a, b) && haveSameFloatingPoint(a, b)
    }

    /// Compares `count` numbers of 64 bits that stand one behind the other from a field on.
    @inline(__always)
    private static func words(_ a: UnsafePointer<State>, _ b: UnsafePointer<State>, _ field: PartialKeyPath<State>, _ count: Int) -> Bool {
        guard let offset = MemoryLayout<State>.offset(of: field) else { preconditionFailure("a stored property of the state") }
        // SAFETY: both are whole states, and the counts above those of the fields, to which a test holds them.
        let one = (UnsafeRawPointer(a) + offset).assumingMemoryBound(to: UInt64.self)
        let other = (UnsafeRawPointer(b) + offset).assumingMemoryBound(to: UInt64.self)
        var difference: UInt64 = 0
        for index in 0..<count { difference |= one[index] ^ other[index] }
        return difference == 0
    }

    @inline(__always)
    private static func haveSameControl(_ a: UnsafePointer<State>, _ b: UnsafePointer<State>) -> Bool {
        var difference = (a.pointee.cr0 ^ b.pointee.cr0) | (a.pointee.cr2 ^ b.pointee.cr2) | (a.pointee.cr3 ^ b.pointee.cr3)
        difference |= (a.pointee.cr4 ^ b.pointee.cr4) | (a.pointee.efer ^ b.pointee.efer) | UInt64(a.pointee.cpl ^ b.pointee.cpl)
        difference |= (a.pointee.dr6 ^ b.pointee.dr6) | (a.pointee.dr7 ^ b.pointee.dr7) | (a.pointee.pendingDebug ^ b.pointee.pendingDebug)
        difference |= (a.pointee.gdtr.base ^ b.pointee.gdtr.base) | UInt64(a.pointee.gdtr.limit ^ b.pointee.gdtr.limit)
        difference |= (a.pointee.idtr.base ^ b.pointee.idtr.base) | UInt64(a.pointee.idtr.limit ^ b.pointee.idtr.limit)
        difference |= a.pointee.entropy.state ^ b.pointee.entropy.state
        return difference == 0 && a.pointee.shadow == b.pointee.shadow && a.pointee.activity == b.pointee.activity
            && a.pointee.nmiPending == b.pointee.nmiPending && a.pointee.nmiBlocked == b.pointee.nmiBlocked
    }

    @inline(__always)
    private static func haveSameFloatingPoint(_ a: UnsafePointer<State>, _ b: UnsafePointer<State>) -> Bool {
        var difference: UInt64 = 0
        for index in 0..<8 {
            difference |= a.pointee.fpu.registers[unchecked: index].significand ^ b.pointee.fpu.registers[unchecked: index].significand
            difference |= UInt64(a.pointee.fpu.registers[unchecked: index].signExponent ^ b.pointee.fpu.registers[unchecked: index].signExponent)
        }
        difference |= (a.pointee.fpu.instructionPointer ^ b.pointee.fpu.instructionPointer) | (a.pointee.fpu.dataPointer ^ b.pointee.fpu.dataPointer)
        difference |= UInt64(a.pointee.fpu.control ^ b.pointee.fpu.control) | UInt64(a.pointee.fpu.status ^ b.pointee.fpu.status)
        difference |= UInt64(a.pointee.fpu.tag ^ b.pointee.fpu.tag) | UInt64(a.pointee.fpu.opcode ^ b.pointee.fpu.opcode)
        difference |= UInt64(a.pointee.fpu.instructionSelector ^ b.pointee.fpu.instructionSelector)
        difference |= UInt64(a.pointee.fpu.dataSelector ^ b.pointee.fpu.dataSelector) | UInt64(a.pointee.fpu.mxcsr ^ b.pointee.fpu.mxcsr)
        return difference == 0 && a.pointee.fpu.signalsError == b.pointee.fpu.signalsError
            && a.pointee.fpu.ignoresError == b.pointee.fpu.ignoresError
    }
}
