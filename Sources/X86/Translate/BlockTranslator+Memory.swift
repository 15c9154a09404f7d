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

    /// The memory operand.
    private func operand(_ size: UInt8, writes: Bool) -> MemoryAccess {
        let instruction = instruction
        var displacement = Int64(bitPattern: instruction.displacement)
        if instruction.base == 16 { displacement += following - Int64(instruction.length) }
        return MemoryAccess(
            instruction: index, base: instruction.base, index: instruction.index, scale: instruction.scale, displacement: displacement,
            segment: instruction.segment, width: instruction.addressSize, size: size, writes: writes)
    }

    /// The effective address of the memory operand as host memory. Changes RAX and RCX where parts of it have no register.
    mutating func effectiveAddress() -> HostMemory { effectiveAddress(operand(1, writes: false), below: 0) }

    /// `below` bytes under the effective address of an access as host memory.
    private mutating func effectiveAddress(_ access: MemoryAccess, below: Int32) -> HostMemory {
        var memory = HostMemory(nil, Int32(truncatingIfNeeded: access.displacement) &- below)
        if access.base == 16 {
            assembler.load(8, .rax, .memory(Slot.page))
            memory.base = .rax
        } else if access.base < 16 {
            memory.base = inRegister(Int(access.base), .rax)
        }
        if access.index < 16 {
            memory.index = inRegister(Int(access.index), .rcx)
            memory.scale = access.scale
        }
        return memory
    }

    private mutating func inRegister(_ number: Int, _ free: HostRegister) -> HostRegister {
        if let register = HostRegister.ofGuest[number] { return register }
        assembler.load(8, free, .memory(Slot.general(number)))
        return free
    }

    /// Puts an address of `width` bytes into RAX.
    private mutating func loadAddress(_ memory: HostMemory, width: UInt8) {
        assembler.address(width == 8 ? 8 : 4, .rax, memory)
        if width == 2 { assembler.extend(signed: false, from: 2, .rax, .register(.rax)) }
    }

    /// Puts an address into RAX, cut to the instruction's address size.
    mutating func loadAddress(_ memory: HostMemory) { loadAddress(memory, width: instruction.addressSize) }

    /// Finds the memory operand in the host, from RAX on; where it is not at hand the instruction is its handler's. Leaves the flags
    /// alone if the instruction does not look into the TLB.
    mutating func locate(_ size: UInt8, _ access: Access) -> HostOperand { locate(operand(size, writes: access != .read), access) }

    /// The same of `size` bytes at `displacement` from the stack pointer or the register of another `number`.
    mutating func locateStack(_ size: UInt8, at displacement: Int32, _ access: Access, base number: UInt8 = 4) -> HostOperand {
        locate(
            MemoryAccess(
                instruction: index, base: number, index: 17, scale: 0, displacement: Int64(displacement), segment: UInt8(SegmentIndex.ss),
                width: stackWidth, size: size, writes: access != .read), access)
    }

    /// It is addressed by the stack pointer alone, in a flat segment, and likely to lie in the page that the last of these lay in.
    private func isOnStack(_ access: MemoryAccess) -> Bool {
        translation.pointee.sharing == .groups && access.base == 4 && access.index >= 16 && access.segment < UInt8(SegmentIndex.fs)
            && access.segment != UInt8(SegmentIndex.cs) && (isLong || mode == TranslationMode.flat32) && access.width == addressWidth
    }

    /// The same of an operand whose address the instruction has computed in RAX.
    mutating func locateRAX(_ size: UInt8, _ access: Access) {
        var unknown = operand(size, writes: access != .read)
        unknown.isUnknown = true
        _ = nextProbe(unknown)
        translate(segment: instruction.segment, size, access)
    }

    private mutating func locate(_ access: MemoryAccess, _ kind: Access) -> HostOperand {
        switch nextProbe(access) {
        case .own:
            loadAddress(effectiveAddress(access, below: 0), width: access.width)
            if isOnStack(access) {
                lookOnStack(Int32(access.size), isGroup: false)
                assembler.arithmetic(0, 8, .rax, .memory(Slot.stackHost))
                return .memory(HostMemory(.rax, 0))
            }
            translate(segment: access.segment, access.size, kind)
            return .memory(HostMemory(.rax, 0))
        case .first(let slot, let before, let span, let writes):
            missSharingLess()
            let memory = effectiveAddress(access, below: before)
            assembler.address(access.width, .rax, memory)
            if access.segment >= UInt8(SegmentIndex.fs) { assembler.arithmetic(0, 8, .rax, .memory(Slot.segment(access.segment, \.base))) }
            if isOnStack(access), span <= Slot.stackSizes[3] {
                lookOnStack(span, isGroup: true)
                assembler.arithmetic(0, 8, .rax, .memory(Slot.stackHost))
            } else {
                look(span, writes: writes)
                exitSharingLess(if: 7)
                assembler.arithmetic(0, 8, .rax, .memory(HostMemory(.rcx, EntryOffset.host)))
            }
            assembler.store(8, .memory(Slot.anchor(slot)), .rax)
            assembler.anchorInRAX = slot
            return .memory(HostMemory(.rax, before))
        case .shared(let slot, let offset):
            if assembler.anchorInRAX != slot { assembler.load(8, .rax, .memory(Slot.anchor(slot))) }
            assembler.anchorInRAX = slot
            return .memory(HostMemory(.rax, offset))
        }
    }

    /// Looks up the `size` bytes at the linear address in RAX: its entry into RCX, its offset in the page into RAX, and "above" if it
    /// is not there.
    private mutating func look(_ size: Int32, writes: Bool) {
        assembler.entry(of: .rax, in: .rcx, tlbMask: tlbMask)
        assembler.arithmetic(5, 8, .rax, .memory(HostMemory(.rcx, writes ? EntryOffset.write : EntryOffset.read)))
        assembler.arithmetic(7, 8, .register(.rax), immediate: 4096 - size)
    }

    /// From an offset in RAX to a host address in RAX. Changes RCX and the host's flags.
    private mutating func translate(segment: UInt8, _ size: UInt8, _ access: Access) {
        // Where CS is flat, nothing is written through it, and what is only executed not read.
        let isChecked = segment >= UInt8(SegmentIndex.fs) || segment == UInt8(SegmentIndex.cs)
        if isLong {
            if segment >= UInt8(SegmentIndex.fs) { assembler.arithmetic(0, 8, .rax, .memory(Slot.segment(segment, \.base))) }
        } else if isChecked || mode != TranslationMode.flat32 {
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
        look(Int32(size), writes: access != .read)
        miss(if: 7)
        assembler.arithmetic(0, 8, .rax, .memory(HostMemory(.rcx, EntryOffset.host)))
    }

    /// The same place, at which RAX points now. Leaves the flags alone.
    mutating func inRAX(_ operand: HostOperand) -> HostOperand {
        if case .memory(let memory) = operand, memory.displacement != 0 { assembler.address(8, .rax, memory) }
        return .memory(HostMemory(.rax, 0))
    }

    /// Moves the stack pointer by `count` bytes. Leaves the flags alone; changes RAX.
    mutating func moveStackPointer(_ count: Int32) { setStackPointer(HostMemory(.r14, count)) }

    /// Sets the stack pointer to an address, as wide as the stack is. Leaves the flags alone; changes RAX.
    mutating func setStackPointer(_ memory: HostMemory) {
        guard stackWidth == 2 else { return assembler.address(stackWidth, .r14, memory) }
        assembler.address(4, .rax, memory)
        assembler.store(2, .register(.r14), .rax)
    }
}
