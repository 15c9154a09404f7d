/// Where the status flags and MXCSR are while a block runs.
extension BlockTranslator {
    /// Sees to it that the flags are in their slot, if anybody may see them. Leaves the host's as they are if they are the guest's;
    /// changes RAX.
    mutating func saveFlags() {
        guard !flags.contains(.slot), flags.contains(.host) || recipe != nil else { return }
        if !flags.contains(.host) { recipe?.write(&self) }
        writeFlagSave()
        flags.insert(.slot)
    }

    /// Saves the flags on a cold path that begins where there was but a recipe for them. Changes RAX.
    mutating func save(_ recipe: FlagRecipe?) {
        guard let recipe else { return }
        recipe.write(&self)
        writeFlagSave()
    }

    /// The recipe for the flags, if following it changes nothing else.
    var directRecipe: FlagRecipe? {
        guard let recipe, recipe.isDirect(hasLogic: buffer.definedFlags.contains(.logic)) else { return nil }
        return recipe
    }

    mutating func writeFlagSave() {
        // LAHF; SETO AL.
        assembler.bytes(0x9F, 0x0F, 0x90, 0xC0)
        assembler.store(2, .memory(Slot.flags), .rax)
    }

    /// Sees to it that the flags are the host's. Changes RAX.
    mutating func loadFlags() {
        guard !flags.contains(.host) else { return }
        if let directRecipe { directRecipe.write(&self) } else { writeFlagLoad() }
        flags.insert(.host)
    }

    mutating func writeFlagLoad() {
        assembler.extend(signed: false, from: 2, .rax, .memory(Slot.flags))
        // ADD AL, 7FH; SAHF.
        assembler.bytes(0x04, 0x7F, 0x9E)
    }

    /// Sees to it that CF is the host's, for an instruction that changes all other flags. Changes no register.
    mutating func loadCarry() {
        guard !flags.contains(.host) else { return }
        if let directRecipe {
            directRecipe.write(&self)
        } else {
            assembler.instruction(2, map: 1, 0xBA, 4, .memory(Slot.flags))
            assembler.byte(8)
        }
        flags.insert(.host)
    }

    // MARK: What SSE needs

    /// Leaves the instruction to its handler, which faults, unless CR0 and CR4 let it use XMM registers.
    mutating func requireVectors() {
        if hasVectors { return }
        assembler.arithmetic(8, 1, .memory(Slot.cr0), immediate: Int32(CR0.em | CR0.ts))
        miss(if: 5)
        assembler.arithmetic(8, 4, .memory(Slot.cr4), immediate: Int32(CR4.osfxsr))
        miss(if: 4)
        hasVectors = true
    }

    /// Sees to it that the host computes under the guest's MXCSR and collects its flags there, while all exceptions are masked.
    mutating func requireMXCSR() {
        if hasMXCSR { return }
        requireVectors()
        assembler.load(4, .rax, .memory(Slot.mxcsr))
        assembler.arithmetic(4, 4, .register(.rax), immediate: Int32(MXCSR.masks))
        assembler.arithmetic(7, 4, .register(.rax), immediate: Int32(MXCSR.masks))
        miss(if: 5)
        loadMXCSR(Slot.mxcsr)
        hasMXCSR = true
    }

    mutating func loadMXCSR(_ place: HostMemory) { assembler.instruction(4, map: 1, 0xAE, 2, .memory(place)) }

    /// Takes the guest's MXCSR back, with the flags that have come up.
    mutating func writeMXCSRRestore() {
        assembler.instruction(4, map: 1, 0xAE, 3, .memory(Slot.mxcsr))
        loadMXCSR(Slot.hostMXCSR)
    }

    mutating func restoreMXCSR() {
        if hasMXCSR { writeMXCSRRestore() }
        hasMXCSR = false
    }
}
