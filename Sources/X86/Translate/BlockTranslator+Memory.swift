/// Memory operands: an address, its segment, and the TLB.
extension BlockTranslator {
    enum Access { case read, write, readWrite }

    /// Where an operand of a general register is: of its low byte, if it is a byte.
    func place(_ operand: Instruction.Operand) -> HostOperand { place(Int(operand.register >> 3)) }

    func place(_ number: Int) -> HostOperand {
        if let register = HostRegister.ofGuest[number] { return .register(register) }
        return .memory(Slot.general(number))
    }

    /// The host register of an operand, if it has one.
    func pinned(_ operand: Instruction.Operand) -> HostRegister? { HostRegister.ofGuest[Int(operand.register >> 3)] }

    /// The effective address of the memory operand as host memory. Changes RAX and RCX where parts of it have no register.
    mutating func effectiveAddress() -> HostMemory {
        let instruction = instruction
        var memory = HostMemory(nil, Int32(truncatingIfNeeded: instruction.displacement))
        if instruction.base == 16 {
            assembler.load(8, .rax, .memory(Slot.page))
            memory.base = .rax
            memory.displacement = Int32(Int64(bitPattern: instruction.displacement) + following - Int64(instruction.length))
        } else if instruction.base < 16 {
            memory.base = inRegister(Int(instruction.base), .rax)
        }
        if instruction.index < 16 {
            memory.index = inRegister(Int(instruction.index), .rcx)
            memory.scale = instruction.scale
        }
        return memory
    }

    private mutating func inRegister(_ number: Int, _ free: HostRegister) -> HostRegister {
        if let register = HostRegister.ofGuest[number] { return register }
        assembler.load(8, free, .memory(Slot.general(number)))
        return free
    }

    /// Puts the host address of the memory operand into RAX; where it has none at hand the instruction is its handler's.
    mutating func locate(_ size: UInt8, _ access: Access) -> HostOperand {
        let memory = effectiveAddress()
        assembler.address(instruction.addressSize == 8 ? 8 : 4, .rax, memory)
        translate(segment: instruction.segment, size, access)
        return .memory(HostMemory(.rax, 0))
    }

    /// The same of `size` bytes at `displacement` from the stack pointer.
    mutating func locateStack(_ size: UInt8, at displacement: Int32, _ access: Access) -> HostOperand {
        assembler.address(addressWidth, .rax, HostMemory(.r14, displacement))
        translate(segment: UInt8(SegmentIndex.ss), size, access)
        return .memory(HostMemory(.rax, 0))
    }

    /// From an offset in RAX to a host address in RAX. Changes RCX and the host's flags.
    mutating func translate(segment: UInt8, _ size: UInt8, _ access: Access) {
        // CS is flat, but nothing is written through it, and what is only executed not read.
        let isChecked = segment >= UInt8(SegmentIndex.fs) || segment == UInt8(SegmentIndex.cs)
        if isLong {
            if segment >= UInt8(SegmentIndex.fs) { assembler.arithmetic(0, 8, .rax, .memory(Slot.segment(segment, \.base))) }
        } else if isChecked || mode == TranslationMode.segmented32 {
            assembler.address(8, .rcx, HostMemory(.rax, Int32(size)))
            if access != .write {
                assembler.arithmetic(7, 8, .rcx, .memory(Slot.segment(segment, \.readEnd)))
                miss(if: 7)
            }
            if access != .read {
                assembler.arithmetic(7, 8, .rcx, .memory(Slot.segment(segment, \.writeEnd)))
                miss(if: 7)
            }
            assembler.arithmetic(0, 4, .rax, .memory(Slot.segment(segment, \.base)))
        }
        assembler.entry(of: .rax, in: .rcx, tlbMask: tlbMask)
        let tag = access == .read ? EntryOffset.read : EntryOffset.write
        assembler.arithmetic(5, 8, .rax, .memory(HostMemory(.rcx, tag)))
        assembler.arithmetic(7, 8, .register(.rax), immediate: 4096 - Int32(size))
        miss(if: 7)
        assembler.arithmetic(0, 8, .rax, .memory(HostMemory(.rcx, EntryOffset.host)))
    }

    /// Moves the stack pointer by `count` bytes. Leaves the flags alone.
    mutating func moveStackPointer(_ count: Int32) {
        assembler.address(addressWidth, .r14, HostMemory(.r14, count))
    }
}
