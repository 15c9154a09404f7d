import Devices
import Testing
import VirtualPC
import X86

@Suite("x87 exceptions by interrupt")
struct CoprocessorErrorTests {
    /// Divides 1 by 0 with #Z unmasked and CR0.NE clear. The handler of IRQ 13 counts at 500H, writes to port F0H, counts at 502H
    /// behind a waiting instruction, and clears the exception; behind the instruction that waited, 504H is counted.
    private static let guest = TinyGuest.real([
        0xFA,  // cli
        0xC7, 0x06, 0xD4, 0x01, 0x4A, 0x10,  // mov WORD PTR ds:0x1d4,0x104a
        0xC7, 0x06, 0xD6, 0x01, 0x00, 0x00,  // mov WORD PTR ds:0x1d6,0x0
        0xB0, 0x11,  // mov al,0x11
        0xE6, 0x20,  // out 0x20,al
        0xB0, 0x20,  // mov al,0x20
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0x04,  // mov al,0x4
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0x01,  // mov al,0x1
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0xFB,  // mov al,0xfb
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0x11,  // mov al,0x11
        0xE6, 0xA0,  // out 0xa0,al
        0xB0, 0x70,  // mov al,0x70
        0xE6, 0xA1,  // out 0xa1,al
        0xB0, 0x02,  // mov al,0x2
        0xE6, 0xA1,  // out 0xa1,al
        0xB0, 0x01,  // mov al,0x1
        0xE6, 0xA1,  // out 0xa1,al
        0xB0, 0xDF,  // mov al,0xdf
        0xE6, 0xA1,  // out 0xa1,al
        0xDB, 0xE3,  // fninit
        0xD9, 0x2E, 0x5F, 0x10,  // fldcw WORD PTR ds:0x105f
        0xFB,  // sti
        0xD9, 0xE8,  // fld1
        0xD9, 0xEE,  // fldz
        0xDE, 0xF9,  // fdivp st(1),st
        // 1042: stuck
        0xD9, 0xD0,  // fnop
        0xFF, 0x06, 0x04, 0x05,  // inc WORD PTR ds:0x504
        0xFA,  // cli
        0xF4,  // hlt
        // 104a: handler
        0xFF, 0x06, 0x00, 0x05,  // inc WORD PTR ds:0x500
        0xE6, 0xF0,  // out 0xf0,al
        0xD9, 0xD0,  // fnop
        0xFF, 0x06, 0x02, 0x05,  // inc WORD PTR ds:0x502
        0xDB, 0xE2,  // fnclex
        0xB0, 0x20,  // mov al,0x20
        0xE6, 0xA0,  // out 0xa0,al
        0xE6, 0x20,  // out 0x20,al
        0xCF,  // iret
        // 105f: control
        0x7B, 0x03,
    ])

    @Test("FERR# becomes IRQ 13 at the next waiting instruction, port F0H lets that wait no more, and it then runs")
    func interrupt() throws {
        let machine = try Self.guest.machine { $0.cpu = "i486" }
        guard case .ended(.halted, _) = machine.run(to: 1_000) else { return #expect(Bool(false), "the guest halts") }
        #expect(machine.load(0x500, bytes: 2) == 1)
        #expect(machine.load(0x502, bytes: 2) == 1)
        #expect(machine.load(0x504, bytes: 2) == 1)
        #expect(machine.processor.state.fpu.status & 0x80FF == 0)
    }

    @Test("with IRQ 13 masked the processor waits for ever")
    func masked() throws {
        var guest = Self.guest
        guest.code[0x32] = 0xFF
        let machine = try guest.machine()
        guard case .ended(.halted, _) = machine.run(to: 1_000) else { return #expect(Bool(false), "the guest halts") }
        #expect(machine.processor.state.rip == 0x1042)
        #expect(machine.load(0x504, bytes: 2) == 0)
    }
}
