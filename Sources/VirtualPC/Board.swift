import Devices
import X86

/// The wiring of the PC: which chips there are, in the order that breaks ties between timers (ruling R18), where their
/// registers lie and which interrupt lines they drive.
struct Board {
    /// A chip in its place.
    struct Slot {
        let device: any Device
        let output: Output
    }

    /// What a chip's timers drive, if it has any.
    enum Output {
        case none
        /// Interrupt lines, by number.
        case lines([Int])
        /// The processor: the local APIC's own timer.
        case processor
        /// Whatever the HPET's registers say.
        case routed
    }

    /// Port addresses that firmware tables repeat.
    enum Port {
        static let com1: UInt64 = 0x3F8
        static let com2: UInt64 = 0x2F8
        static let powerManagement: UInt64 = 0x600
        static let smiCommand: UInt64 = 0xB2
        static let resetControl: UInt64 = 0xCF9
        static let biosLog: UInt64 = 0x402
        static let firmwareConfiguration: UInt64 = 0x510
    }

    /// Memory addresses that firmware tables repeat.
    enum Address {
        static let localAPIC: UInt64 = 0xFEE0_0000
        static let ioAPIC: UInt64 = 0xFEC0_0000
        static let hpet: UInt64 = 0xFED0_0000
        /// Bus 0's PCI configuration space; the end of what the host bridge passes on.
        static let configurationSpace: UInt64 = 0xFEB0_0000
    }

    /// Interrupt lines that firmware tables repeat.
    enum Line {
        static let timer = 0, keyboard = 1, com2 = 3, com1 = 4, rtc = 8, sci = 9, mouse = 12, coprocessor = 13
    }

    let interrupts: InterruptControllers
    let serial: [UART]
    let keyboard: PS2Controller
    let systemControl: SystemControl
    let power: ACPIPower
    let pciHost: PCIHost
    let coprocessorError: CoprocessorError
    let slots: [Slot]
    /// The chips of `slots` that may have timers, in the board's order.
    private let timers: ContiguousArray<any Device>
    let ports: Bus
    let memory: Bus

    init(_ manifest: Manifest, outlet: Outlet, a20: A20Gate, processor: Processor) {
        var slots: [Slot] = []
        var ports = Bus()
        var memory = Bus()
        func place<Chip: RegisterDevice>(
            _ chip: Chip, _ output: Output = .none, ports windows: [(first: UInt64, count: UInt64, offset: UInt64)] = [],
            memory area: (first: UInt64, count: UInt64, offset: UInt64)? = nil
        ) -> Chip {
            slots.append(Slot(device: chip, output: output))
            for window in windows { ports.map(window.first, count: window.count, to: chip, offset: window.offset) }
            if let area { memory.map(area.first, count: area.count, to: chip, offset: area.offset) }
            return chip
        }
        let interrupts = InterruptControllers(
            processor, nonMaskable: { [unowned processor] in processor.raiseNMI() }, initialize: { outlet.demand(.reset) })
        _ = place(interrupts.pic, ports: [(0x20, 2, 0), (0xA0, 2, 2), (0x4D0, 2, 4)])
        if let apics = interrupts.apics {
            // The processor decodes the local APIC's registers itself.
            _ = place(apics.local, .processor)
            _ = place(apics.inputOutput, memory: (Address.ioAPIC, 0x20, 0))
            _ = place(apics.timers, .routed, memory: (Address.hpet, 0x400, 0))
        }
        func uart(_ number: UInt8, _ line: Int, _ port: UInt64) -> UART {
            let chip = UART(name: "UART COM\(number + 1)", interrupt: interrupts.line(line)) { outlet.send(.serial(number), $0) }
            return place(chip, .lines([line]), ports: [(port, 8, 0)])
        }

        _ = place(PIT(interrupt: interrupts.line(Line.timer)), .lines([Line.timer]), ports: [(0x40, 4, 0), (0x61, 1, 4)])
        _ = place(
            RTC(interrupt: interrupts.line(Line.rtc), startSeconds: manifest.rtc, memorySize: manifest.memory), .lines([Line.rtc]),
            ports: [(0x70, 2, 0)])
        let com1 = uart(0, Line.com1, Port.com1)
        let com2 = uart(1, Line.com2, Port.com2)
        let keyboard = place(
            PS2Controller(
                keyboardInterrupt: interrupts.line(Line.keyboard), auxiliaryInterrupt: interrupts.line(Line.mouse),
                a20: a20.input(.keyboard), reset: { outlet.demand(.reset) }),
            .lines([Line.keyboard, Line.mouse]), ports: [(0x60, 1, 0), (0x64, 1, 1)])
        let pciHost = place(
            PCIHost(
                subsystem: manifest.rom == nil ? 0 : Self.emulatorSubsystem, reset: { outlet.demand(.reset) },
                mapShadow: { [unowned processor] in processor.mapShadow($0, readsRAM: $1, writesRAM: $2) }),
            ports: [(0xCF8, 8, 0)],
            memory: interrupts.apics == nil
                ? nil : (Address.configurationSpace, PCIHost.configurationSpaceSize, PCIHost.configurationSpace))
        let power = place(
            ACPIPower(interrupt: interrupts.line(Line.sci), powerOff: { outlet.demand(.powerOff) }), .lines([Line.sci]),
            ports: [
                (Port.powerManagement, ACPIPower.Register.blockLength, 0), (Port.smiCommand, 2, ACPIPower.Register.smiCommand),
            ])
        let systemControl = place(
            SystemControl(a20: a20.input(.fast), reset: { outlet.demand(.reset) }), ports: [(0x92, 1, 0), (0x80, 1, 1)])
        // A BIOS logs to another port, and is told of the board.
        _ = place(
            DebugConsole { outlet.send(.debug, $0) }, ports: manifest.rom == nil ? [(0xE9, 1, 0)] : [(0xE9, 1, 0), (Port.biosLog, 1, 0)])
        if manifest.rom != nil { _ = place(FirmwareConfiguration(manifest), ports: [(Port.firmwareConfiguration, 2, 0)]) }
        let coprocessorError = place(
            CoprocessorError(interrupt: interrupts.line(Line.coprocessor), ignore: { [unowned processor] in processor.ignoreNumericError() }),
            ports: [(0xF0, 1, 0)])
        _ = place(DebugExit { outlet.demand(.debugExit(value: $0)) }, ports: [(0xF4, 4, 0)])
        _ = place(
            VGAText(), ports: [(0x3B0, 0x30, 0)],
            memory: (PhysicalMemory.vga.lowerBound, UInt64(VGAText.memorySize), VGAText.memoryOffset))

        self.interrupts = interrupts
        serial = [com1, com2]
        self.keyboard = keyboard
        self.systemControl = systemControl
        self.power = power
        self.pciHost = pciHost
        self.coprocessorError = coprocessorError
        self.slots = slots
        timers = ContiguousArray(slots.compactMap { if case .none = $0.output { nil } else { $0.device } })
        self.ports = ports
        self.memory = memory
        drive(a20)
    }

    /// By which QEMU's machines are known, whose devices a BIOS ROM finds here.
    private static let emulatorSubsystem: UInt32 = 0x1100_1AF4

    /// Brings gate and memory map to what the chips say: at power-on and after a restore, where no chip drives its wires.
    func drive(_ gate: A20Gate) {
        pciHost.driveShadow()
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

    /// The first deadline of a chip that can wake a halted processor as things stand (ruling R4): by an interrupt, or by an NMI
    /// where `nonMaskable`.
    func wakingDeadline(nonMaskable: Bool) -> VirtualTime? {
        slots.compactMap { slot in interrupts.canReach(slot.output, nonMaskable: nonMaskable) ? slot.device.nextDeadline : nil }.min()
    }
}
