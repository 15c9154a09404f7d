import Devices
import Testing

/// A controller on a bench, with the outcome of everything that it can reach.
private final class Board {
    let irq1 = Pin()
    let irq12 = Pin()
    let a20 = Pin()
    var resets = 0
    var now = VirtualTime.zero
    private(set) lazy var controller = PS2Controller(
        keyboardInterrupt: irq1.wire, auxiliaryInterrupt: irq12.wire, a20: a20.wire, reset: { [unowned self] in resets += 1 })

    func command(_ value: UInt8) { controller.write8(1, value, at: now) }
    func data(_ value: UInt8) { controller.write8(0, value, at: now) }
    var status: UInt8 { controller.read8(1, at: now) }

    /// Waits for up to 5 ms, as a polling guest does.
    func take() -> UInt8? {
        let limit = now.advanced(byNanoseconds: 5_000_000)
        while status & 1 == 0 {
            guard let deadline = controller.nextDeadline, deadline <= limit else { return nil }
            now = deadline
            controller.expire(at: deadline)
        }
        return controller.read8(0, at: now)
    }

    func takeAll() -> [UInt8] {
        var bytes: [UInt8] = []
        while let byte = take() { bytes.append(byte) }
        return bytes
    }
}

@Suite struct PS2ControllerTests {
    @Test("the controller answers its own commands at once")
    func controllerCommands() {
        let board = Board()
        for (command, answer) in [(0xAA, 0x55), (0xAB, 0x00), (0xA9, 0x00), (0xA4, 0xF1), (0x20, 0x65)] {
            board.command(UInt8(command))
            #expect(board.status & 1 == 1)
            #expect(board.take() == UInt8(answer), "command \(command)")
        }
        board.command(0x60)
        board.data(0x47)
        board.command(0x20)
        #expect(board.take() == 0x47)
        board.command(0xA7)
        board.command(0xAD)
        board.command(0x20)
        #expect(board.take() == 0x77)
        board.command(0xA8)
        board.command(0xAE)
        board.command(0x20)
        #expect(board.take() == 0x47)
    }

    @Test("the second port loops back with its own flag and interrupt, and answers a mouse command with a timeout")
    func auxiliary() {
        let board = Board()
        board.command(0x60)
        board.data(0x47)
        board.command(0xD3)
        board.data(0x5A)
        #expect(board.status & 0x21 == 0x21)
        #expect(board.irq12.level && !board.irq1.level)
        #expect(board.take() == 0x5A)
        #expect(!board.irq12.level)
        board.command(0xD4)
        board.data(0xF2)
        #expect(board.controller.nextDeadline == .us(880))
        board.controller.run(to: .ms(1))
        board.now = .ms(1)
        #expect(board.status & 0x61 == 0x61)
        #expect(board.take() == 0xFE)
        #expect(board.status & 0x61 == 0)
        #expect(board.take() == nil)
    }

    @Test("keyboard commands: acknowledge, then what they ask for")
    func keyboardCommands() {
        let board = Board()
        for (bytes, answers): ([UInt8], [UInt8]) in [
            ([0xFF], [0xFA, 0xAA]),
            ([0xF2], [0xFA, 0xAB, 0x41]),
            ([0xEE], [0xEE]),
            ([0xFE], [0xEE]),
            ([0xF5], [0xFA]),
            ([0xF4], [0xFA]),
            ([0xF6], [0xFA]),
            ([0xED], [0xFA]), ([0x07], [0xFA]),
            ([0xF3], [0xFA]), ([0x00], [0xFA]),
            ([0xF0], [0xFA]), ([0x00], [0xFA, 0x41]),
            ([0xF0], [0xFA]), ([0x05], [0xFE]),
            ([0xEC], [0xFE]), ([0x00], [0xFE]), ([0xFB], [0xFE]),
            ([0xED], [0xFA]), ([0xF4], [0xFA]),
        ] {
            for byte in bytes { board.data(byte) }
            #expect(board.takeAll() == answers, "after \(bytes)")
        }
    }

    @Test("set 2 becomes set 1, and comes raw without translation", arguments: [
        ([0x1C], [0x1E]), ([0xF0, 0x1C], [0x9E]), ([0x5A], [0x1C]), ([0x76], [0x01]), ([0x83], [0x41]), ([0x29], [0x39]),
        ([0xE0, 0x75], [0xE0, 0x48]), ([0xE0, 0xF0, 0x75], [0xE0, 0xC8]), ([0x12, 0x07], [0x2A, 0x58]),
        ([0xE1, 0x14, 0x77, 0xE1, 0xF0, 0x14, 0xF0, 0x77], [0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5]),
    ] as [([UInt8], [UInt8])])
    func translation(codes: [UInt8], expected: [UInt8]) {
        let board = Board()
        board.controller.receive(keyboard: codes, at: board.now)
        #expect(board.takeAll() == expected)
        board.command(0x60)
        board.data(0x05)
        board.controller.receive(keyboard: codes, at: board.now)
        #expect(board.takeAll() == codes)
    }

    @Test("the translation is one to one on the codes of keys")
    func translationIsInjective() {
        let board = Board()
        var seen: [UInt8] = []
        for code in UInt8(1)...0x7F {
            board.controller.receive(keyboard: [code], at: board.now)
            seen += board.takeAll()
        }
        #expect(seen.count == 0x7F)
        #expect(seen.sorted() == Array(1...0x7F))
    }

    @Test("each byte is an edge of IRQ 1, and the next comes only after the last was read")
    func interrupts() {
        let board = Board()
        board.controller.receive(keyboard: [0x1C, 0x1B], at: .zero)
        board.controller.run(to: .ms(10))
        #expect(board.irq1.level && board.irq1.rises == 1)
        board.now = .ms(10)
        #expect(board.take() == 0x1E)
        #expect(!board.irq1.level)
        #expect(board.controller.nextDeadline == .us(10_880))
        board.controller.run(to: .us(10_880))
        #expect(board.irq1.rises == 2)
    }

    @Test("a disabled port or a keyboard that does not scan holds or drops keys")
    func disabled() {
        let board = Board()
        board.command(0xAD)
        board.controller.receive(keyboard: [0x1C], at: .zero)
        #expect(board.take() == nil)
        board.command(0xAE)
        #expect(board.take() == 0x1E)
        board.data(0xF5)
        #expect(board.take() == 0xFA)
        board.controller.receive(keyboard: [0x1C], at: board.now)
        #expect(board.take() == nil)
    }

    @Test("the output port carries A20, and its reset bit resets")
    func outputPort() {
        let board = Board()
        #expect(board.controller.a20)
        board.command(0xD1)
        board.data(0xDD)
        #expect(!board.controller.a20 && !board.a20.level)
        board.command(0xD0)
        #expect(board.take() == 0xCD)
        board.command(0xDF)
        #expect(board.controller.a20 && board.a20.level)
        board.command(0xDD)
        #expect(!board.controller.a20)
        #expect(board.resets == 0)
        board.command(0xFE)
        #expect(board.resets == 1)
        board.command(0xD1)
        board.data(0x02)
        #expect(board.resets == 2)
    }
}
