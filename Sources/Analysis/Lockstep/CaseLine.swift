import VirtualPC
import X86

/// The instruction that a machine executes next as the start of a row of the case files, `Tests/X86Tests/Cases`: its bytes, its text
/// and what it finds, up to `=>`. A memory operand is moved to where those rows have their data.
package struct CaseLine {
    package let text: String

    /// Where rows have data, in linear addresses.
    private static let data: UInt64 = 0x10100
    /// Where their code stands.
    private static let code: UInt64 = 0x18000

    private static let names64 = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"]
    private static let names32 = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"]
    private static let flags: [(name: String, bit: UInt64)] = [
        ("cf", Flag.cf), ("pf", Flag.pf), ("af", Flag.af), ("zf", Flag.zf), ("sf", Flag.sf), ("df", Flag.df), ("of", Flag.of),
    ]

    /// Nil where a row cannot say what the instruction finds: x87 registers, or memory at an address that cannot be moved.
    package init?(of machine: Machine) {
        let processor = machine.processor
        let state = processor.state
        let width = processor.codeWidth
        var bytes = processor.bytes(at: processor.instructionAddress, count: 15)
        let disassembler = Disassembler()
        guard let operands = disassembler.operands(bytes, width: width), !operands.usesStack else { return nil }
        bytes = Array(bytes.prefix(operands.length))
        var general: [Int: UInt64] = [:]
        for number in operands.general { general[number] = state.gpr[number] }
        var memory = ""
        if let operand = operands.memory {
            guard width != 16, let moved = Self.move(operand, &bytes, &general, state) else { return nil }
            let address = Self.address(operand, state, length: operands.length)
            let content = processor.bytes(at: width == 64 ? address : address & 0xFFFF_FFFF, count: operand.count)
            guard content.count == operand.count else { return nil }
            memory = " [0x\(String(moved, radix: 16))]=" + content.map { Self.hexadecimal(UInt64($0), digits: 2) }.joined()
        }
        guard let text = disassembler.text(bytes, width: width, address: Self.code)?.text else { return nil }
        var line = "\(width) [" + bytes.map { Self.hexadecimal(UInt64($0), digits: 2) }.joined(separator: " ") + "] \"\(text)\""
        let names = width == 64 ? Self.names64 : Self.names32
        for number in general.keys.sorted() where number < names.count {
            guard let value = general[number], value != 0 else { continue }
            line += " \(names[number])=0x" + String(width == 64 ? value : value & 0xFFFF_FFFF, radix: 16)
        }
        for flag in Self.flags where state.rflags & flag.bit != 0 { line += " \(flag.name)=1" }
        if !operands.vectors.isEmpty, state.fpu.mxcsr != 0x1F80 { line += " mxcsr=0x" + String(state.fpu.mxcsr, radix: 16) }
        for number in operands.vectors {
            line += " xmm\(number)=0x" + [state.fpu.xmm[2 * number + 1], state.fpu.xmm[2 * number]].map { Self.hexadecimal($0, digits: 16) }.joined()
        }
        self.text = line + memory + " =>"
    }

    /// What is added to the base register, or to the address of the next instruction.
    private static func offset(_ operand: InstructionOperands.Memory, _ state: State) -> UInt64 {
        (operand.index.map { state.gpr[$0] &* operand.scale } ?? 0) &+ UInt64(bitPattern: operand.displacement)
    }

    private static func address(_ operand: InstructionOperands.Memory, _ state: State, length: Int) -> UInt64 {
        let base = operand.isRelative ? state.rip &+ UInt64(length) : operand.base.map { state.gpr[$0] } ?? 0
        return base &+ offset(operand, state)
    }

    /// Changes the base register, or else the displacement, so that the operand lies among the data of rows, as far from a multiple of
    /// 16 as it does. Gives where; nil if neither can be changed.
    private static func move(
        _ operand: InstructionOperands.Memory, _ bytes: inout [UInt8], _ general: inout [Int: UInt64], _ state: State
    ) -> UInt64? {
        guard !operand.hasSegment, operand.base != GPR.rsp else { return nil }
        let target = data + (address(operand, state, length: bytes.count) & 15)
        if let base = operand.base {
            guard base != operand.index else { return nil }
            general[base] = target &- offset(operand, state)
            return target
        }
        guard operand.displacementBytes == 4 else { return nil }
        let start = operand.isRelative ? code + UInt64(bytes.count) : offset(operand, state) &- UInt64(bitPattern: operand.displacement)
        let displacement = target &- start
        guard Int64(Int32(truncatingIfNeeded: displacement)) == Int64(bitPattern: displacement) else { return nil }
        for index in 0..<4 { bytes[operand.displacementOffset + index] = UInt8(truncatingIfNeeded: displacement >> (8 * UInt64(index))) }
        return target
    }

    private static func hexadecimal(_ value: UInt64, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
