import X86

/// The system level under random programs: a `UserModeKernel` whose handlers let the program go on. A fault is skipped with its
/// instruction, a page that is not present is made so, and each external interrupt does what the program's author thought of.
struct ProgramKernel {
    let kind: ProgramKind
    private let kernel: UserModeKernel
    private let isLong: Bool
    /// Bytes of a stack slot.
    private var slot: UInt8 { isLong ? 8 : 4 }

    /// What an interrupt does.
    enum Action {
        /// Changes a byte of a page-table entry of the low 2 MiB.
        case xorEntry(page: UInt64, byte: UInt64, UInt8)
        case andEntry(page: UInt64, UInt8)
        /// Changes a byte of the program.
        case xorCode(UInt64, UInt8)
        case reloadCR3
        case nothing
    }

    static let actionCount = 16

    init(_ kind: ProgramKind) {
        self.kind = kind
        kernel = UserModeKernel(kind: kind.kernel)
        isLong = kind.kernel == .long
    }

    /// The segments that the program may use besides the sandbox's, all of level 3: based at 8000H, expand-down from 10000H up, and
    /// code of 64 KiB based at 10000H.
    static let segments: [(selector: UInt16, descriptor: UInt64)] = [
        (0x73, 0x00CF_F300_8000_FFFF), (0x7B, 0x0040_F700_0000_FFFF), (0x83, 0x0040_FB01_0000_FFFF),
    ]

    /// Everything that stands in memory, apart from the program.
    func structures(entry: UInt64, actions: [Action]) -> [(address: UInt64, bytes: [UInt8])] {
        if kind == .real { return realStructures(entry: entry, actions: actions) }
        var parts = kernel.structures.map { ($0.address.rawValue, $0.bytes) }
        parts.append((UserModeKernel.handlers, (0..<256).flatMap(stub)))
        let (code, places) = handlers(entry: entry, actions: actions)
        parts.append((ProgramMap.handlers, code))
        parts.append((ProgramMap.handlerData, [UInt8](repeating: 0, count: 0x40) + places.flatMap { CodeWriter.little($0, Int(slot)) }))
        parts += pageTableEntries
        for (selector, descriptor) in Self.segments { parts.append((UserModeKernel.gdt + UInt64(selector & ~7), CodeWriter.little(descriptor, 8))) }
        return parts
    }

    private var pageTableEntries: [(UInt64, [UInt8])] {
        var parts: [(UInt64, [UInt8])] = []
        func map(_ table: UInt64, _ linear: UInt64, _ physical: UInt64, _ bits: UInt64) {
            parts.append((table + 8 * (linear >> 12 & 0x1FF), CodeWriter.little(physical | bits, 8)))
        }
        let user: UInt64 = 7, readOnly: UInt64 = 5, supervisor: UInt64 = 3
        for page in stride(from: ProgramMap.code, to: ProgramMap.code + ProgramMap.codeBytes, by: 0x1000) { map(low, page, page, user) }
        for page: UInt64 in stride(from: 0x1_0000, to: 0x2_0000, by: 0x1000) {
            map(low, page + ProgramMap.userAlias, page, user)
            map(high, page + ProgramMap.supervisorAlias, page, supervisor)
        }
        map(low, kind.counters, kind.counters, user)
        map(low, kind.jumpTables, kind.jumpTables, readOnly)
        for page in stride(from: ProgramMap.lengths, to: ProgramMap.lengths + ProgramMap.codeBytes, by: 0x1000) { map(low, page, page, supervisor) }
        for page in [low, ProgramMap.handlers, ProgramMap.handlerData] { map(high, page, page, supervisor) }
        return parts
    }

    private var low: UInt64 { UserModeKernel.lowTable }
    private var high: UInt64 { UserModeKernel.kernelTable }

    /// Pushes the vector, and 0 where the processor pushes no error code.
    private func stub(_ vector: Int) -> [UInt8] {
        let hasCode = vector == 8 || (10...14).contains(vector) || vector == 17
        var code = CodeWriter(at: UserModeKernel.handlers + 16 * UInt64(vector))
        if !hasCode { code.put(0x6A, 0) }
        code.put(0x6A, UInt8(vector))
        code.aim(at: code.putBranch([0xE9]), ProgramMap.handlers)
        return code.bytes + [UInt8](repeating: 0xCC, count: 16 - code.bytes.count)
    }

    /// The code of all handlers, and where its actions begin. On the stack: RCX, RAX, vector, error code, RIP, CS, RFLAGS.
    private func handlers(entry: UInt64, actions: [Action]) -> ([UInt8], [UInt64]) {
        var code = CodeWriter(at: ProgramMap.handlers)
        func wide(_ bytes: UInt8...) -> [UInt8] { isLong ? [0x48] + bytes : bytes }
        let vector = 2 * slot, ip = 4 * slot, flags = 6 * slot, counter = ProgramMap.handlerData
        var toDone: [Int] = [], toSkip: [Int] = []
        func branch(_ opcode: [UInt8]) -> Int { code.putBranch(opcode) }
        // Through SS, which is the kernel's, as the other segments may not be.
        func ownData(_ bytes: [UInt8]) -> [UInt8] { [0x36] + bytes }
        func arrive(_ places: Int...) { for place in places { code.aim(at: place, code.here) } }
        code.put(0x50)
        code.put(0x51)
        // inc dword [counter]; mov eax,[vector]
        code.put(ownData([0xFF, 0x04, 0x25]), counter)
        code.put(0x8B, 0x44, 0x24, vector)
        code.put(0x83, 0xF8, ProgramMap.interruptVector)
        let toInterrupt = branch([0x0F, 0x84])
        code.put(0x83, 0xF8, 14)
        let toPageFault = branch([0x0F, 0x84])
        code.put(0x83, 0xF8, 1)
        let notDebug = branch([0x0F, 0x85])
        // and dword [flags],~TF
        code.put([0x81, 0x64, 0x24, flags], ~UInt64(Flag.tf))
        toDone.append(branch([0xE9]))
        arrive(notDebug)
        for trap: UInt8 in [3, 4] {
            code.put(0x83, 0xF8, trap)
            toDone.append(branch([0x0F, 0x84]))
        }

        // Skip: on to the next instruction, or to the entry from outside the program.
        let skip = code.here
        code.put(wide(0x8B, 0x44, 0x24, ip))
        var toInside: [Int] = []
        for base in [ProgramMap.code, ProgramMap.code + ProgramMap.userAlias] {
            code.put(wide(0x89, 0xC1))
            code.put(wide(0x81, 0xE9), base - kind.codeBase)
            code.put(wide(0x81, 0xF9), ProgramMap.codeBytes)
            toInside.append(branch([0x0F, 0x82]))
        }
        code.put(wide(0xC7, 0x44, 0x24, ip), entry - kind.codeBase)
        toDone.append(branch([0xE9]))
        for place in toInside { arrive(place) }
        // movzx ecx,byte [ecx+lengths]; add [ip],rcx
        code.put(ownData([0x0F, 0xB6, 0x89]), ProgramMap.lengths)
        code.put(wide(0x01, 0x4C, 0x24, ip))
        toDone.append(branch([0xE9]))

        // A page that is mapped but not present becomes present.
        arrive(toPageFault)
        code.put(0x0F, 0x20, 0xD0)
        code.put(wide(0x89, 0xC1))
        code.put(wide(0xC1, 0xE9, 12))
        code.put(wide(0x81, 0xF9), 0x60)
        toSkip.append(branch([0x0F, 0x83]))
        code.put(ownData([0xF6, 0x04, 0xCD]), low, then: [1])
        toSkip.append(branch([0x0F, 0x85]))
        code.put(ownData([0x83, 0x3C, 0xCD]), low, then: [0])
        toSkip.append(branch([0x0F, 0x84]))
        code.put(ownData([0x80, 0x0C, 0xCD]), low, then: [1])
        toDone.append(branch([0xE9]))

        // Interrupts: one action after the other.
        arrive(toInterrupt)
        code.put(ownData([0x8B, 0x0C, 0x25]), counter + 8)
        code.put(ownData([0xFF, 0x04, 0x25]), counter + 8)
        code.put(0x83, 0xE1, UInt8(Self.actionCount - 1))
        code.put(ownData([0xFF, 0x24, isLong ? 0xCD : 0x8D]), counter + 0x40)
        var places: [UInt64] = []
        for action in actions {
            places.append(code.here)
            switch action {
            case .xorEntry(let page, let byte, let value): code.put(ownData([0x80, 0x34, 0x25]), low + 8 * page + byte, then: [value])
            case .andEntry(let page, let value): code.put(ownData([0x80, 0x24, 0x25]), low + 8 * page, then: [value])
            case .xorCode(let address, let value): code.put(ownData([0x80, 0x34, 0x25]), address + ProgramMap.supervisorAlias, then: [value])
            case .reloadCR3:
                code.put(0x0F, 0x20, 0xD8)
                code.put(0x0F, 0x22, 0xD8)
            case .nothing: break
            }
            toDone.append(branch([0xE9]))
        }

        for place in toSkip { code.aim(at: place, skip) }
        for place in toDone { arrive(place) }
        code.put(0x59)
        code.put(0x58)
        code.put(wide(0x83, 0xC4, 2 * slot))
        code.put(wide(0xCF))
        precondition(code.bytes.count <= 0x1000, "the handlers fill a page at most")
        return (code.bytes, places)
    }
}
