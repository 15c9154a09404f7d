import X86

/// The same in real mode: handlers of 16-bit code on the program's own stack.
extension ProgramKernel {
    func realStructures(entry: UInt64, actions: [Action]) -> [(address: UInt64, bytes: [UInt8])] {
        var code = CodeWriter(at: ProgramMap.realHandlers, isNarrow: true)
        var vectors: [UInt8] = []
        var toHandler: [Int] = []
        for vector in 0..<256 {
            vectors += CodeWriter.little(UInt64(code.bytes.count) | ProgramMap.realHandlers << 12, 4)
            // push vector; jmp
            code.putPlain([0x6A, UInt8(vector)])
            toHandler.append(code.putBranch([0xE9]))
        }
        for place in toHandler { code.aim(at: place, code.here) }
        writeHandler(&code, entry: UInt16(truncatingIfNeeded: entry - kind.codeBase), actions: actions)
        precondition(code.bytes.count <= 0x1000, "the handlers fill a page at most")
        return [(0, vectors), (ProgramMap.realHandlers, code.bytes)]
    }

    /// On the stack: DS, BP, BX, AX, vector, IP, CS, FLAGS. The handler's data stand behind its code, and are reached through CS.
    private func writeHandler(_ code: inout CodeWriter, entry: UInt16, actions: [Action]) {
        let counter = 0xE00, actionCounter = 0xE02, places = 0xE10
        let ip: UInt8 = 10, cs: UInt8 = 12, flags: UInt8 = 14
        var toDone: [Int] = [], toRestart: [Int] = []
        func word(_ value: Int) -> [UInt8] { CodeWriter.little(UInt64(value), 2) }
        // push ax; push bx; push bp; push ds; mov bp,sp; inc word cs:[counter]; mov ax,[bp+8]
        for push: UInt8 in [0x50, 0x53, 0x55, 0x1E] { code.putPlain([push]) }
        code.putPlain([0x89, 0xE5])
        code.putPlain([0x2E, 0xFF, 0x06] + word(counter))
        code.putPlain([0x8B, 0x46, 8])
        code.putPlain([0x3D] + word(Int(ProgramMap.interruptVector)))
        let toInterrupt = code.putBranch([0x0F, 0x84])
        code.putPlain([0x3D] + word(1))
        let notDebug = code.putBranch([0x0F, 0x85])
        // and word [bp+14],~TF
        code.putPlain([0x81, 0x66, flags] + word(0xFEFF))
        toDone.append(code.putBranch([0xE9]))
        code.aim(at: notDebug, code.here)
        for trap in [3, 4] {
            code.putPlain([0x3D] + word(trap))
            toDone.append(code.putBranch([0x0F, 0x84]))
        }
        // Skip the instruction, or restart from outside the program.
        code.putPlain([0x8B, 0x5E, ip])
        code.putPlain([0x81, 0x7E, cs] + word(Int(kind.codeBase >> 4)))
        toRestart.append(code.putBranch([0x0F, 0x85]))
        let offset = Int(ProgramMap.code - kind.codeBase)
        code.putPlain([0x81, 0xFB] + word(offset))
        toRestart.append(code.putBranch([0x0F, 0x82]))
        // mov ax,lengths; mov ds,ax; mov al,[bx-offset]; mov ah,0; add [bp+10],ax
        code.putPlain([0xB8] + word(Int(ProgramMap.lengths >> 4)))
        code.putPlain([0x8E, 0xD8])
        code.putPlain([0x8A, 0x87] + word(0x1_0000 - offset))
        code.putPlain([0xB4, 0])
        code.putPlain([0x01, 0x46, ip])
        toDone.append(code.putBranch([0xE9]))
        for place in toRestart { code.aim(at: place, code.here) }
        code.putPlain([0xC7, 0x46, ip] + word(Int(entry)))
        code.putPlain([0xC7, 0x46, cs] + word(Int(kind.codeBase >> 4)))
        toDone.append(code.putBranch([0xE9]))

        code.aim(at: toInterrupt, code.here)
        // mov bx,cs:[counter]; inc word cs:[counter]; and bx,15; shl bx,1; jmp cs:[bx+places]
        code.putPlain([0x2E, 0x8B, 0x1E] + word(actionCounter))
        code.putPlain([0x2E, 0xFF, 0x06] + word(actionCounter))
        code.putPlain([0x83, 0xE3, UInt8(Self.actionCount - 1)])
        code.putPlain([0xD1, 0xE3])
        code.putPlain([0x2E, 0xFF, 0xA7] + word(places))
        var starts: [UInt8] = []
        for action in actions {
            starts += CodeWriter.little(code.here - code.start, 2)
            if case .xorCode(let address, let value) = action {
                // mov ax,segment; mov ds,ax; xor byte [address],value
                code.putPlain([0xB8] + word(Int(kind.codeBase >> 4)))
                code.putPlain([0x8E, 0xD8])
                code.putPlain([0x80, 0x36] + word(Int(address - kind.codeBase)) + [value])
            }
            toDone.append(code.putBranch([0xE9]))
        }
        for place in toDone { code.aim(at: place, code.here) }
        // pop ds; pop bp; pop bx; pop ax; add sp,2; iret
        for pop: UInt8 in [0x1F, 0x5D, 0x5B, 0x58] { code.putPlain([pop]) }
        code.putPlain([0x83, 0xC4, 2])
        code.putPlain([0xCF])
        precondition(code.bytes.count <= counter, "the data lie behind the code")
        code.pad(counter - code.bytes.count)
        // The counters begin at 0.
        code.putPlain([UInt8](repeating: 0, count: places - counter) + starts)
    }
}
