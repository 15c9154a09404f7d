/// A general register of the host, by its number in encodings.
struct HostRegister: Equatable {
    let number: UInt8
    private init(_ number: UInt8) { self.number = number }

    static let rax = HostRegister(0), rcx = HostRegister(1), rdx = HostRegister(2), rbx = HostRegister(3)
    static let rsp = HostRegister(4), rbp = HostRegister(5), rsi = HostRegister(6), rdi = HostRegister(7)
    static let r8 = HostRegister(8), r9 = HostRegister(9), r10 = HostRegister(10), r11 = HostRegister(11)
    static let r12 = HostRegister(12), r13 = HostRegister(13), r14 = HostRegister(14), r15 = HostRegister(15)

    /// Where translated code keeps the guest's general registers; nil: in the register file in memory.
    ///
    /// RAX and RCX are free for the code's own use (so LAHF and shifts need no moves around them), RBP points to the core, RSP is
    /// the host's stack. RDX stays where multiplications and divisions want it.
    static let ofGuest: [HostRegister?] = [
        r10, r11, rdx, rbx, r14, r15, rsi, rdi, r8, r9, nil, nil, r12, r13, nil, nil,
    ]
}

/// Host memory: base + (index << scale) + displacement.
struct HostMemory {
    var base: HostRegister?
    var index: HostRegister?
    var scale: UInt8 = 0
    var displacement: Int32 = 0

    init(_ base: HostRegister?, index: HostRegister? = nil, scale: UInt8 = 0, _ displacement: Int32 = 0) {
        self.base = base
        self.index = index
        self.scale = scale
        self.displacement = displacement
    }
}

/// What the r/m field of a ModRM byte can name.
enum HostOperand {
    case register(HostRegister)
    case memory(HostMemory)
}
