/// Writes host instructions, one behind the other (Intel SDM Vol. 2A chapter 2). Widths are in bytes: 1, 2, 4 or 8.
///
/// SAFETY: whoever makes one sees to it that there is room for what is written.
struct Assembler {
    private(set) var cursor: UnsafeMutablePointer<UInt8>
    /// RAX holds this one of `TranslationState.anchors`; nil: another value, or a call, a label or an instruction that may write it came
    /// in between.
    var anchorInRAX: Int?

    init(at place: UnsafeMutablePointer<UInt8>) { cursor = place }

    /// A place that a jump's 32-bit displacement stands at.
    struct Jump { let place: UnsafeMutablePointer<UInt8> }

    mutating func byte(_ value: UInt8) {
        cursor.pointee = value
        cursor += 1
    }

    /// Instructions as they stand.
    mutating func bytes(_ values: UInt8...) {
        anchorInRAX = nil
        for value in values { byte(value) }
    }

    mutating func int32(_ value: Int32) {
        UnsafeMutableRawPointer(cursor).storeBytes(of: value, as: Int32.self)
        cursor += 4
    }

    mutating func int64(_ value: UInt64) {
        UnsafeMutableRawPointer(cursor).storeBytes(of: value, as: UInt64.self)
        cursor += 8
    }

    /// An instruction with a ModRM byte; its immediate, if it has one, follows by itself.
    /// - Parameters:
    ///   - width: of the operands: 2 has the prefix 66H, 8 REX.W. A byte register numbered 4 to 7 is the low one (SPL to DIL).
    ///   - prefix: F2H, F3H or 66H that belongs to the opcode; 0: none.
    ///   - map: 0 one byte, 1 0FH, 2 0F38H, 3 0F3AH.
    ///   - register: the reg field: a register's number, or an extension of the opcode.
    ///   - byteOperand: `operand` is a byte although `width` is not 1.
    mutating func instruction(
        _ width: UInt8, prefix: UInt8 = 0, map: UInt8 = 0, _ opcode: UInt8, _ register: UInt8, _ operand: HostOperand,
        byteOperand: Bool = false
    ) {
        // Number 0 may also extend an opcode. What writes RAX without naming it takes something from there that was put there first.
        if register == 0 { anchorInRAX = nil }
        if width == 2 { byte(0x66) }
        if prefix != 0 { byte(prefix) }
        var rex: UInt8 = (width == 8 ? 8 : 0) | ((register >> 3) << 2)
        var needsREX = width == 1 && register >= 4
        switch operand {
        case .register(let rm):
            if rm == .rax { anchorInRAX = nil }
            rex |= rm.number >> 3
            needsREX = needsREX || ((width == 1 || byteOperand) && rm.number >= 4)
        case .memory(let memory):
            rex |= (((memory.index?.number ?? 0) >> 3) << 1) | (memory.base?.number ?? 0) >> 3
        }
        if rex != 0 || needsREX { byte(0x40 | rex) }
        switch map {
        case 0: break
        case 1: byte(0x0F)
        case 2:
            byte(0x0F)
            byte(0x38)
        default:
            byte(0x0F)
            byte(0x3A)
        }
        byte(opcode)
        modRM(register & 7, operand)
    }

    private mutating func modRM(_ register: UInt8, _ operand: HostOperand) {
        switch operand {
        case .register(let rm): byte(0xC0 | register << 3 | rm.number & 7)
        case .memory(let memory):
            guard let base = memory.base else {
                // A SIB byte without base: ModRM alone would be relative to RIP.
                byte(0x04 | register << 3)
                byte(memory.scale << 6 | ((memory.index?.number ?? 4) & 7) << 3 | 5)
                int32(memory.displacement)
                return
            }
            let isShort = memory.displacement >= -128 && memory.displacement <= 127
            let mode: UInt8 = memory.displacement == 0 && base.number & 7 != 5 ? 0 : isShort ? 0x40 : 0x80
            if let index = memory.index {
                byte(mode | register << 3 | 4)
                byte(memory.scale << 6 | (index.number & 7) << 3 | base.number & 7)
            } else {
                byte(mode | register << 3 | base.number & 7)
                if base.number & 7 == 4 { byte(0x24) }
            }
            if mode == 0x40 { byte(UInt8(bitPattern: Int8(memory.displacement))) } else if mode == 0x80 { int32(memory.displacement) }
        }
    }

    // MARK: Moves

    mutating func load(_ width: UInt8, _ register: HostRegister, _ operand: HostOperand) {
        instruction(width, width == 1 ? 0x8A : 0x8B, register.number, operand)
    }

    mutating func store(_ width: UInt8, _ operand: HostOperand, _ register: HostRegister) {
        instruction(width, width == 1 ? 0x88 : 0x89, register.number, operand)
    }

    /// Stores an immediate, sign-extended to `width`.
    mutating func store(_ width: UInt8, _ operand: HostOperand, immediate: Int32) {
        instruction(width, width == 1 ? 0xC6 : 0xC7, 0, operand)
        self.immediate(width, immediate)
    }

    /// Loads all 64 bits of a register, with the shortest instruction.
    mutating func load(_ register: HostRegister, immediate: UInt64) {
        if register == .rax { anchorInRAX = nil }
        if immediate <= 0xFFFF_FFFF {
            if register.number >= 8 { byte(0x41) }
            byte(0xB8 | register.number & 7)
            int32(Int32(truncatingIfNeeded: immediate))
        } else if immediate >= 0xFFFF_FFFF_8000_0000 {
            instruction(8, 0xC7, 0, .register(register))
            int32(Int32(truncatingIfNeeded: immediate))
        } else {
            byte(0x48 | register.number >> 3)
            byte(0xB8 | register.number & 7)
            int64(immediate)
        }
    }

    /// Loads 0 in such a way that it can be made another number later; gives where its 8 bytes stand.
    mutating func loadPlace(_ register: HostRegister) -> UnsafeMutablePointer<UInt8> {
        byte(0x48 | register.number >> 3)
        byte(0xB8 | register.number & 7)
        int64(0)
        return cursor - 8
    }

    /// LEA of a 32- or 64-bit register.
    mutating func address(_ width: UInt8, _ register: HostRegister, _ memory: HostMemory) {
        instruction(width, 0x8D, register.number, .memory(memory))
    }

    /// MOVZX or MOVSX to 32 bits (or `width`) from `from` bytes.
    mutating func extend(_ width: UInt8 = 4, signed: Bool, from: UInt8, _ register: HostRegister, _ operand: HostOperand) {
        if from == 4 {
            // MOVSXD; a plain MOV extends with zeros.
            if signed { instruction(width, 0x63, register.number, operand) } else { load(4, register, operand) }
            return
        }
        let opcode: UInt8 = (signed ? 0xBE : 0xB6) | (from == 2 ? 1 : 0)
        instruction(width, map: 1, opcode, register.number, operand, byteOperand: from == 1)
    }

    mutating func immediate(_ width: UInt8, _ value: Int32) {
        switch width {
        case 1: byte(UInt8(truncatingIfNeeded: value))
        case 2:
            byte(UInt8(truncatingIfNeeded: value))
            byte(UInt8(truncatingIfNeeded: value >> 8))
        default: int32(value)
        }
    }

    // MARK: Arithmetic

    /// ADD, OR, ADC, SBB, AND, SUB, XOR, CMP by their number in encodings; 8 is TEST.
    mutating func arithmetic(_ operation: UInt8, _ width: UInt8, _ register: HostRegister, _ operand: HostOperand) {
        if operation == 8 { return arithmetic(operation, width, operand, register) }
        instruction(width, operation << 3 | (width == 1 ? 2 : 3), register.number, operand)
    }

    mutating func arithmetic(_ operation: UInt8, _ width: UInt8, _ operand: HostOperand, _ register: HostRegister) {
        instruction(width, (operation == 8 ? 0x84 : operation << 3) | (width == 1 ? 0 : 1), register.number, operand)
    }

    mutating func arithmetic(_ operation: UInt8, _ width: UInt8, _ operand: HostOperand, immediate value: Int32) {
        if operation == 8 {
            instruction(width, width == 1 ? 0xF6 : 0xF7, 0, operand)
            immediate(width, value)
        } else if width == 1 {
            instruction(1, 0x80, operation, operand)
            immediate(1, value)
        } else if value >= -128 && value <= 127 {
            instruction(width, 0x83, operation, operand)
            immediate(1, value)
        } else {
            instruction(width, 0x81, operation, operand)
            immediate(width, value)
        }
    }

    /// ROL, ROR, RCL, RCR, SHL, SHR, (SAL), SAR by their number in encodings.
    mutating func shift(_ operation: UInt8, _ width: UInt8, _ operand: HostOperand, by count: UInt8) {
        if count == 1 { return instruction(width, width == 1 ? 0xD0 : 0xD1, operation, operand) }
        instruction(width, width == 1 ? 0xC0 : 0xC1, operation, operand)
        byte(count)
    }

    mutating func shiftByCL(_ operation: UInt8, _ width: UInt8, _ operand: HostOperand) {
        instruction(width, width == 1 ? 0xD2 : 0xD3, operation, operand)
    }

    // MARK: Jumps

    mutating func jump() -> Jump {
        byte(0xE9)
        int32(0)
        return Jump(place: cursor - 4)
    }

    /// Jcc; `condition` as in its opcode.
    mutating func jump(if condition: UInt8) -> Jump {
        byte(0x0F)
        byte(0x80 | condition)
        int32(0)
        return Jump(place: cursor - 4)
    }

    mutating func jump(to place: UnsafeMutablePointer<UInt8>) { Self.join(jump(), to: place) }
    mutating func jump(if condition: UInt8, to place: UnsafeMutablePointer<UInt8>) { Self.join(jump(if: condition), to: place) }

    mutating func call(_ place: UnsafeMutablePointer<UInt8>) {
        anchorInRAX = nil
        byte(0xE8)
        int32(0)
        Self.join(Jump(place: cursor - 4), to: place)
    }

    /// JMP through memory.
    mutating func jump(through memory: HostMemory) { instruction(4, 0xFF, 4, .memory(memory)) }

    /// Lets a jump that was written before arrive here.
    mutating func join(_ jump: Jump) {
        anchorInRAX = nil
        Self.join(jump, to: cursor)
    }

    /// Puts a number where one was loaded by `loadPlace`.
    static func set(_ place: UnsafeMutablePointer<UInt8>, _ value: UInt64) {
        UnsafeMutableRawPointer(place).storeBytes(of: value, as: UInt64.self)
    }

    static func join(_ jump: Jump, to place: UnsafeMutablePointer<UInt8>) {
        UnsafeMutableRawPointer(jump.place).storeBytes(of: Int32(place - (jump.place + 4)), as: Int32.self)
    }
}
