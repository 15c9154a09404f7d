import Devices
import X86

/// The chips between interrupt lines and processor: the 8259s, and with a processor that has an APIC also that, the I/O APIC
/// and the HPET, which can take over two of the lines.
///
/// A line goes to the 8259s and to the I/O APIC's input of its number, line 0 to input 2 (Intel MultiProcessor Specification
/// 1.4, 3.6.2.3, "symmetric I/O mode"). The 8259s' INT goes to the processor's LINT0 and to input 0.
struct InterruptControllers {
    /// What stands beside the 8259s for a processor with an APIC.
    struct APICs {
        let local: LocalAPIC
        let inputOutput: IOAPIC
        let timers: HPET
    }

    let pic: PIC
    let apics: APICs?

    /// Line 0's input of the I/O APIC.
    static let timerInput = 2
    /// The 8259s' input of the I/O APIC.
    static let externalInput = 0

    init(_ processor: Processor, nonMaskable: @escaping () -> Void, initialize: @escaping () -> Void) {
        guard processor.model.hasAPIC else {
            pic = PIC()
            apics = nil
            return
        }
        let bus = APICBus()
        let local = LocalAPIC(
            id: 0, hasDeadline: processor.model.hasTSCDeadline, bus: bus, nonMaskable: nonMaskable, initialize: initialize)
        let inputOutput = IOAPIC(bus: bus)
        let (lint0, external) = (local.lint0, inputOutput.input(Self.externalInput))
        let pic = PIC(interrupt: Wire { level in
            lint0.set(level)
            external.set(level)
        })
        func line(_ number: Int) -> Wire { Self.line(number, pic, inputOutput) }
        let timers = HPET(
            timerLine: line(Board.Line.timer), clockLine: line(Board.Line.rtc), inputs: (0..<IOAPIC.inputs).map { inputOutput.input($0) })
        self.pic = pic
        apics = APICs(local: local, inputOutput: inputOutput, timers: timers)
    }

    private static func input(_ line: Int) -> Int { line == Board.Line.timer ? timerInput : line }

    private static func line(_ number: Int, _ pic: PIC, _ inputOutput: IOAPIC) -> Wire {
        let (first, second) = (pic.line(number), inputOutput.input(input(number)))
        return Wire { level in
            first.set(level)
            second.set(level)
        }
    }

    /// The wire that a chip drives to interrupt.
    func line(_ number: Int) -> Wire {
        guard let apics else { return pic.line(number) }
        switch number {
        case Board.Line.timer: return apics.timers.legacySource(0)
        case Board.Line.rtc: return apics.timers.legacySource(1)
        default: return Self.line(number, pic, apics.inputOutput)
        }
    }

    /// The processor's INTR.
    var request: Bool { apics?.local.interruptRequest ?? pic.output }

    /// The interrupt-acknowledge cycle.
    func acknowledge() -> UInt8 { apics?.local.acknowledge() ?? pic.acknowledge() }

    // MARK: What can wake the processor (ruling R4)

    /// Whether a chip's timer can interrupt the processor as things stand, with an NMI where `nonMaskable`.
    func canReach(_ output: Board.Output, nonMaskable: Bool) -> Bool {
        switch output {
        case .none: return false
        case .lines(let lines): return lines.contains { !isReplaced($0) && canReach(line: $0, nonMaskable: nonMaskable) }
        case .processor: return !nonMaskable && apics?.local.timerCouldInterrupt ?? false
        case .routed:
            guard let apics else { return false }
            return apics.timers.routes.contains { route in
                switch route {
                case .line(let line): canReach(line: line, nonMaskable: nonMaskable)
                case .input(let input): apics.inputOutput.canReach(input: input, nonMaskable: nonMaskable)
                }
            }
        }
    }

    /// Whether anything is set up to become an NMI.
    var hasNonMaskableSource: Bool {
        guard let apics else { return false }
        return apics.local.lint0Passes(nonMaskable: true)
            || (0..<IOAPIC.inputs).contains { apics.inputOutput.canReach(input: $0, nonMaskable: true) }
    }

    private func isReplaced(_ line: Int) -> Bool {
        guard let apics, line == Board.Line.timer || line == Board.Line.rtc else { return false }
        return apics.timers.replacesLegacy
    }

    private func canReach(line: Int, nonMaskable: Bool) -> Bool {
        guard let apics else { return !nonMaskable && pic.canReach(irq: line) }
        let external =
            apics.local.lint0Passes(nonMaskable: nonMaskable)
            || apics.inputOutput.canReach(input: Self.externalInput, nonMaskable: nonMaskable)
        return external && pic.canReach(irq: line)
            || apics.inputOutput.canReach(input: Self.input(line), nonMaskable: nonMaskable)
    }
}
