import Devices
import VirtualPC
import X86

/// A few bytes of code and the machine they run on. The bytes come from an assembler; its text stands beside them.
struct TinyGuest {
    var code: [UInt8]
    var address: UInt64
    var mode: FlatLoader.Mode
    /// Nanoseconds a step.
    var rate: UInt64 = 1

    static func protected(_ code: [UInt8]) -> TinyGuest { TinyGuest(code: code, address: 0x100000, mode: .protected) }
    static func real(rate: UInt64 = 1, _ code: [UInt8]) -> TinyGuest {
        TinyGuest(code: code, address: 0x1000, mode: .real, rate: rate)
    }

    var source: BootSource { .flat(ImageFile(name: "tiny", bytes: code), address: address, mode: mode) }

    func manifest(_ change: (inout Manifest) -> Void = { _ in }) -> Manifest {
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = 2 << 20
        manifest.rateNumerator = rate
        change(&manifest)
        return manifest
    }

    /// A machine with the code loaded, not run yet.
    func machine(knobs: EngineKnobs = EngineKnobs(), _ change: (inout Manifest) -> Void = { _ in }) throws -> Machine {
        let machine = try Machine(manifest: manifest(change), knobs: knobs)
        try machine.load(source)
        return machine
    }
}

extension TinyGuest {
    /// Programs the PIT for an interrupt every 1,193 clock pulses, with the last write at position 9, then halts again and
    /// again. The handler counts at 500H.
    static let timer = real([
        0xFA,  // cli
        0xB8, 0x31, 0x10,  // mov ax,0x1031
        0xA3, 0x80, 0x00,  // mov ds:0x80,ax
        0xC7, 0x06, 0x82, 0x00, 0x00, 0x00,  // mov WORD PTR ds:0x82,0x0
        0xB0, 0x34,  // mov al,0x34: counter 0, mode 2
        0xE6, 0x43,  // out 0x43,al
        0xB0, 0xA9,  // mov al,0xa9
        0xE6, 0x40,  // out 0x40,al
        0xB0, 0x04,  // mov al,0x4
        0xE6, 0x40,  // out 0x40,al
        0xB0, 0x11,  // mov al,0x11
        0xE6, 0x20,  // out 0x20,al
        0xB0, 0x20,  // mov al,0x20
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0x04,  // mov al,0x4
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0x01,  // mov al,0x1
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0xFE,  // mov al,0xfe: IRQ 0 alone is unmasked
        0xE6, 0x21,  // out 0x21,al
        0xFB,  // sti
        // 102e
        0xF4,  // hlt
        0xEB, 0xFD,  // jmp 102e
        // 1031
        0xFF, 0x06, 0x00, 0x05,  // inc WORD PTR ds:0x500
        0xB0, 0x20,  // mov al,0x20
        0xE6, 0x20,  // out 0x20,al
        0xCF,  // iret
    ])
    /// The offset in `timer` of the interrupt mask.
    static let timerMask = 42
    /// The offset in `timer` of STI.
    static let timerSTI = 45
    /// The position of the first instant at which `timer` is halted.
    static let timerHalted = Position(22)

    /// Runs without end: interrupts every 32 clock pulses (268 steps at the rate given here), reads of the TSC and of port
    /// 61H, REP STOSB.
    static let busy = real(rate: 100, [
        0xFA,  // cli
        0xC7, 0x06, 0x80, 0x00, 0x4A, 0x10,  // mov WORD PTR ds:0x80,0x104a
        0xC7, 0x06, 0x82, 0x00, 0x00, 0x00,  // mov WORD PTR ds:0x82,0x0
        0xB0, 0x34,  // mov al,0x34
        0xE6, 0x43,  // out 0x43,al
        0xB0, 0x20,  // mov al,0x20
        0xE6, 0x40,  // out 0x40,al
        0xB0, 0x00,  // mov al,0x0
        0xE6, 0x40,  // out 0x40,al
        0xB0, 0x11,  // mov al,0x11
        0xE6, 0x20,  // out 0x20,al
        0xB0, 0x20,  // mov al,0x20
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0x04,  // mov al,0x4
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0x01,  // mov al,0x1
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0xFE,  // mov al,0xfe
        0xE6, 0x21,  // out 0x21,al
        0xFB,  // sti
        // 102e
        0x66, 0xFF, 0x06, 0x04, 0x05,  // inc DWORD PTR ds:0x504
        0x0F, 0x31,  // rdtsc
        0x66, 0x31, 0x06, 0x08, 0x05,  // xor DWORD PTR ds:0x508,eax
        0xE4, 0x61,  // in al,0x61
        0x30, 0x06, 0x0C, 0x05,  // xor BYTE PTR ds:0x50c,al
        0xBF, 0x00, 0x30,  // mov di,0x3000
        0xB9, 0x25, 0x00,  // mov cx,0x25
        0xF3, 0xAA,  // rep stos BYTE PTR es:[di],al
        0xEB, 0xE4,  // jmp 102e
        // 104a
        0xFF, 0x06, 0x00, 0x05,  // inc WORD PTR ds:0x500
        0xB0, 0x20,  // mov al,0x20
        0xE6, 0x20,  // out 0x20,al
        0xCF,  // iret
    ])

    /// Sends back each byte that comes in at COM1, by interrupt, and halts in between.
    static let echo = real([
        0xFA,  // cli
        0xC7, 0x06, 0x90, 0x00, 0x43, 0x10,  // mov WORD PTR ds:0x90,0x1043
        0xC7, 0x06, 0x92, 0x00, 0x00, 0x00,  // mov WORD PTR ds:0x92,0x0
        0xB0, 0x11,  // mov al,0x11
        0xE6, 0x20,  // out 0x20,al
        0xB0, 0x20,  // mov al,0x20
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0x04,  // mov al,0x4
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0x01,  // mov al,0x1
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0xEF,  // mov al,0xef: IRQ 4 alone is unmasked
        0xE6, 0x21,  // out 0x21,al
        0xBA, 0xFB, 0x03,  // mov dx,0x3fb
        0xB0, 0x83,  // mov al,0x83
        0xEE,  // out dx,al
        0xBA, 0xF8, 0x03,  // mov dx,0x3f8
        0xB0, 0x01,  // mov al,0x1: 115,200 baud
        0xEE,  // out dx,al
        0xBA, 0xFB, 0x03,  // mov dx,0x3fb
        0xB0, 0x03,  // mov al,0x3: 8N1
        0xEE,  // out dx,al
        0xBA, 0xFC, 0x03,  // mov dx,0x3fc
        0xB0, 0x0B,  // mov al,0xb: DTR, RTS, OUT2
        0xEE,  // out dx,al
        0xBA, 0xF9, 0x03,  // mov dx,0x3f9
        0xB0, 0x01,  // mov al,0x1: receive interrupt
        0xEE,  // out dx,al
        0xFB,  // sti
        // 1040
        0xF4,  // hlt
        0xEB, 0xFD,  // jmp 1040
        // 1043
        0xBA, 0xF8, 0x03,  // mov dx,0x3f8
        0xEC,  // in al,dx
        0xEE,  // out dx,al
        0xB0, 0x20,  // mov al,0x20
        0xE6, 0x20,  // out 0x20,al
        0xCF,  // iret
    ])
    /// The position of the first instant at which `echo` is halted.
    static let echoHalted = Position(30)

    /// Nothing but INC EAX, forever.
    static let spin = protected([
        0x40,  // inc eax
        0xEB, 0xFD,  // jmp to the inc
    ])
}

extension Machine {
    /// Runs with no input until `position`.
    @discardableResult
    func run(to position: UInt64) -> Stop { run(until: Position(position), source: NoEvents()) }

    /// A general register.
    func register(_ number: Int) -> UInt64 { processor.state.gpr[number] }

    /// A little-endian number in RAM.
    func load(_ address: UInt64, bytes: Int) -> UInt64 {
        memory.read(PhysicalAddress(address), count: bytes).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
