import CHostCPU

/// The code segment that a trial runs in (Intel SDM Vol. 1 3.1, "Modes of Operation"): its operand and address sizes.
package enum Mode: Int, Sendable, CaseIterable {
    case bits64 = 64
    case bits32 = 32
    case bits16 = 16

    /// What offsets are relative to: 16-bit trials have segments that begin at the sandbox.
    package var segmentBase: UInt64 { self == .bits16 ? UInt64(Sandbox.base) : 0 }

    /// The general registers that exist.
    package var registerCount: Int { self == .bits64 ? 16 : 8 }

    /// The bits of a general register that exist.
    package var registerMask: UInt64 { self == .bits64 ? .max : 0xffff_ffff }
}

/// Where a trial's memory stands, in linear addresses (drawn in CHostCPU.h).
package enum Sandbox {
    package static let base = UInt32(HOST_CPU_BASE)
    package static let data = UInt32(HOST_CPU_DATA)
    package static let dataEnd = UInt32(HOST_CPU_DATA) + 2 * page
    package static let readOnly = UInt32(HOST_CPU_READ_ONLY)
    package static let stack = UInt32(HOST_CPU_STACK)
    package static let code = UInt32(HOST_CPU_CODE)
    package static let page = UInt32(HOST_CPU_PAGE)

    /// The linear ranges that hold data, in the order of the memory image.
    package static let memory: [Range<UInt32>] = [
        data..<dataEnd, readOnly..<readOnly + page, stack..<stack + page,
    ]

    package static let memorySize = Int(HOST_CPU_MEMORY_SIZE)

    /// The bytes of the memory image (`memory`, one range after another) before any patch; seed 0: all zero.
    package static func background(seed: UInt64) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: memorySize) { buffer, count in
            // SAFETY: the buffer has room for memorySize bytes, which is what the callee writes.
            host_cpu_background(seed, buffer.baseAddress)
            count = memorySize
        }
    }
}

/// Registers of user level, in the manual's numbering.
package struct Registers: Equatable, Sendable {
    /// RAX RCX RDX RBX RSP RBP RSI RDI R8 to R15.
    package var gpr = SIMD16<UInt64>(repeating: 0)
    /// An offset in CS.
    package var rip: UInt64 = 0
    package var rflags: UInt64 = 0x202
    package var es: UInt16 = 0
    package var cs: UInt16 = 0
    package var ss: UInt16 = 0
    package var ds: UInt16 = 0
    package var fs: UInt16 = 0
    package var gs: UInt16 = 0

    package init() {}
}

/// Bytes that stand at a linear address.
package struct MemoryBytes: Equatable, Sendable {
    package var address: UInt32
    package var bytes: [UInt8]

    package init(address: UInt32, bytes: [UInt8]) {
        self.address = address
        self.bytes = bytes
    }
}

/// A field of the processor's state that only the system level can tell, by the name that `State.fields` gives it.
package struct SystemField: Equatable, Sendable {
    package var name: String
    package var value: UInt64

    package init(name: String, value: UInt64) {
        self.name = name
        self.value = value
    }
}

/// One run of a few bytes of code: what it finds.
package struct Trial: Sendable {
    package var mode: Mode
    package var bytes: [UInt8]
    /// The linear address of `bytes`, in the code page.
    package var address: UInt32
    package var registers: Registers
    package var memory: [MemoryBytes] = []
    /// The seed of what else memory holds (`Sandbox.background`).
    package var background: UInt64 = 0
    /// An FXSAVE image to begin with (Intel SDM Vol. 1 10.5.1); nil: x87 and SSE state are of no interest.
    package var fx: [UInt8]?
    /// State of system level that is not as it is around user code; `cpl` 0 runs the trial in the kernel's segments.
    package var system: [SystemField] = []

    /// `bytes` at the start of the code page with the sandbox's own segments, the stack pointer amid the stack page
    /// and all else zero.
    package init(mode: Mode, bytes: [UInt8], address: UInt32 = Sandbox.code) {
        self.mode = mode
        self.bytes = bytes
        self.address = address
        registers = Registers()
        registers.rip = UInt64(address) - mode.segmentBase
        registers.gpr[4] = UInt64(Sandbox.stack + Sandbox.page / 2) - mode.segmentBase
        switch mode {
        case .bits64:
            registers.cs = UInt16(HOST_CPU_SELECTOR_GDT_CODE64)
            registers.ss = UInt16(HOST_CPU_SELECTOR_GDT_DATA)
        case .bits32:
            registers.cs = UInt16(HOST_CPU_SELECTOR_CODE32)
            registers.ss = UInt16(HOST_CPU_SELECTOR_DATA32)
        case .bits16:
            registers.cs = UInt16(HOST_CPU_SELECTOR_CODE16)
            registers.ss = UInt16(HOST_CPU_SELECTOR_DATA16)
        }
        registers.ds = registers.ss
        registers.es = registers.ss
        if mode != .bits64 {
            registers.fs = UInt16(HOST_CPU_SELECTOR_FS)
            registers.gs = UInt16(HOST_CPU_SELECTOR_GS)
        }
    }
}
