import Devices
import X86

/// The wiring of the PC: which chips there are, in the order that breaks ties between timers (ruling R18), where their
/// registers lie and which interrupt lines they drive.
struct Board {
    /// A chip in its place, with the interrupt lines that it drives.
    struct Slot {
        let device: any Device
        let lines: [Int]
    }

    /// Port addresses that firmware tables repeat.
    enum Port {
        static let com1: UInt64 = 0x3F8
        static let com2: UInt64 = 0x2F8
        static let powerManagement: UInt64 = 0x600
        static let smiCommand: UInt64 = 0xB2
        static let resetControl: UInt64 = 0xCF9
    }

    /// Interrupt lines that firmware tables repeat.
    enum Line {
        static let timer = 0, keyboard = 1, com2 = 3, com1 = 4, rtc = 8, sci = 9, mouse = 12
    }

    let pic: PIC
    let serial: [UART]
    let keyboard: PS2Controller
    let systemControl: SystemControl
    let slots: [Slot]
    /// The chips of `slots` that may have timers: those that drive an interrupt line, in the board's order.
    private let timers: ContiguousArray<any Device>
    let ports: Bus
    let memory: Bus

    init(_ manifest: Manifest, outlet: Outlet, a20: A20Gate) {
        var slots: [Slot] = []
        var ports = Bus()
        var memory = Bus()
        func place<Chip: RegisterDevice>(
            _ chip: Chip, _ lines: [Int] = [], ports windows: [(first: UInt64, count: UInt64, offset: UInt64)],
            memory area: (first: UInt64, count: UInt64, offset: UInt64)? = nil
        ) -> Chip {
            slots.append(Slot(device: chip, lines: lines))
            for window in windows { ports.map(window.first, count: window.count, to: chip, offset: window.offset) }
            if let area { memory.map(area.first, count: area.count, to: chip, offset: area.offset) }
            return chip
        }
        func uart(_ number: UInt8, _ line: Int, _ port: UInt64, _ pic: PIC) -> UART {
            let chip = UART(name: "UART COM\(number + 1)", interrupt: pic.line(line)) { outlet.send(.serial(number), $0) }
            return place(chip, [line], ports: [(port, 8, 0)])
        }

        let pic = place(PIC(), ports: [(0x20, 2, 0), (0xA0, 2, 2), (0x4D0, 2, 4)])
        _ = place(PIT(interrupt: pic.line(Line.timer)), [Line.timer], ports: [(0x40, 4, 0), (0x61, 1, 4)])
        _ = place(
            RTC(interrupt: pic.line(Line.rtc), startSeconds: manifest.rtc, memorySize: manifest.memory), [Line.rtc],
            ports: [(0x70, 2, 0)])
        let com1 = uart(0, Line.com1, Port.com1, pic)
        let com2 = uart(1, Line.com2, Port.com2, pic)
        let keyboard = place(
            PS2Controller(
                keyboardInterrupt: pic.line(Line.keyboard), auxiliaryInterrupt: pic.line(Line.mouse), a20: a20.input(.keyboard),
                reset: { outlet.demand(.reset) }),
            [Line.keyboard, Line.mouse], ports: [(0x60, 1, 0), (0x64, 1, 1)])
        _ = place(PCIHost(reset: { outlet.demand(.reset) }), ports: [(0xCF8, 8, 0)])
        _ = place(
            ACPIPower(interrupt: pic.line(Line.sci), powerOff: { outlet.demand(.powerOff) }), [Line.sci],
            ports: [
                (Port.powerManagement, ACPIPower.Register.blockLength, 0), (Port.smiCommand, 2, ACPIPower.Register.smiCommand),
            ])
        let systemControl = place(
            SystemControl(a20: a20.input(.fast), reset: { outlet.demand(.reset) }), ports: [(0x92, 1, 0), (0x80, 1, 1)])
        _ = place(DebugConsole { outlet.send(.debug, $0) }, ports: [(0xE9, 1, 0)])
        _ = place(DebugExit { outlet.demand(.debugExit(value: $0)) }, ports: [(0xF4, 4, 0)])
        _ = place(
            VGAText(), ports: [(0x3B0, 0x30, 0)],
            memory: (PhysicalMemory.vga.lowerBound, UInt64(VGAText.memorySize), VGAText.memoryOffset))

        self.pic = pic
        serial = [com1, com2]
        self.keyboard = keyboard
        self.systemControl = systemControl
        self.slots = slots
        timers = ContiguousArray(slots.filter { !$0.lines.isEmpty }.map(\.device))
        self.ports = ports
        self.memory = memory
        drive(a20)
    }

    /// Brings the gate to the levels of the chips: at power-on and after a restore, where no chip drives its wires.
    func drive(_ gate: A20Gate) {
        gate.drive(.fast, systemControl.a20)
        gate.drive(.keyboard, keyboard.a20)
    }

    /// When the first timer is due. Asked at every boundary: no chip is kept hold of.
    var nextDeadline: VirtualTime? {
        var first: VirtualTime?
        for index in timers.indices {
            guard let deadline = timers[index].nextDeadline else { continue }
            if first.map({ deadline < $0 }) ?? true { first = deadline }
        }
        return first
    }

    /// The chip whose timer is due first, the one that stands first on the board where several are.
    var earliest: (device: any Device, deadline: VirtualTime)? {
        var best: (device: any Device, deadline: VirtualTime)?
        for device in timers {
            guard let deadline = device.nextDeadline else { continue }
            if let best, best.deadline <= deadline { continue }
            best = (device, deadline)
        }
        return best
    }

    /// The first deadline of a chip that drives an unmasked line: what can wake a halted processor (ruling R4).
    var wakingDeadline: VirtualTime? {
        slots.compactMap { slot in
            slot.lines.contains(where: { pic.canReach(irq: $0) }) ? slot.device.nextDeadline : nil
        }.min()
    }
}
