import X86

/// The local APIC in xAPIC mode (Intel SDM Vol. 3A chapter 10, "Advanced Programmable Interrupt Controller"), without x2APIC,
/// performance counters, thermal sensor or system management mode.
///
/// Offsets are from the 4-KiB page that IA32_APIC_BASE names; registers are 32 bits wide, 16 bytes apart. The timer counts
/// virtual nanoseconds, the crystal of CPUID leaf 15H (ruling R5). The task priority has its home here: CR8 is bits 7-4 of it.
package final class LocalAPIC: RegisterDevice {
    /// Register numbers: offset / 16.
    enum Register {
        static let id: UInt64 = 0x02, version: UInt64 = 0x03, taskPriority: UInt64 = 0x08, arbitrationPriority: UInt64 = 0x09
        static let processorPriority: UInt64 = 0x0A, endOfInterrupt: UInt64 = 0x0B, remoteRead: UInt64 = 0x0C
        static let logicalDestination: UInt64 = 0x0D, destinationFormat: UInt64 = 0x0E, spurious: UInt64 = 0x0F
        static let inService: UInt64 = 0x10, triggerMode: UInt64 = 0x18, requests: UInt64 = 0x20
        static let errorStatus: UInt64 = 0x28, commandLow: UInt64 = 0x30, commandHigh: UInt64 = 0x31
        static let localVectors: ClosedRange<UInt64> = 0x32...0x37
        static let initialCount: UInt64 = 0x38, currentCount: UInt64 = 0x39, divide: UInt64 = 0x3E
    }

    /// Entries of the local vector table, in the order of their registers.
    enum Source: Int { case timer = 0, thermal, performance, lint0, lint1, error }

    enum LocalVector {
        static let delivery: UInt32 = 0x700
        static let nonMaskable: UInt32 = 0x400
        static let external: UInt32 = 0x700
        static let activeLow: UInt32 = 1 << 13
        static let remoteRequest: UInt32 = 1 << 14
        static let level: UInt32 = 1 << 15
        static let masked: UInt32 = 1 << 16
        static let periodic: UInt32 = 1 << 17
        static let deadline: UInt32 = 1 << 18
    }

    enum Base {
        static let bootstrap: UInt64 = 1 << 8
        static let enabled: UInt64 = 1 << 11
        static let atReset: UInt64 = 0xFEE0_0000 | bootstrap | enabled
    }

    enum ErrorBit {
        static let sendIllegalVector: UInt8 = 1 << 5
        static let receivedIllegalVector: UInt8 = 1 << 6
        static let illegalRegister: UInt8 = 1 << 7
    }

    static let softwareEnabled: UInt32 = 1 << 8
    /// Six entries in the local vector table, version 14H.
    private static let version: UInt32 = 0x0005_0014
    static let lowestVector: UInt8 = 16

    package let name = "LocalAPIC"
    package let splitsAccesses = false
    package private(set) var state = State()
    private let id: UInt8
    private let hasDeadline: Bool
    private let bus: APICBus
    private let nonMaskable: () -> Void
    private let initialize: () -> Void

    /// The processor's INTR as this chip drives it. Derived from the state whenever that changes.
    package private(set) var interruptRequest = false

    /// `hasDeadline`: the timer has a mode TSC-deadline. `nonMaskable` and `initialize` reach the processor's core.
    package init(
        id: UInt8, hasDeadline: Bool, bus: APICBus, nonMaskable: @escaping () -> Void, initialize: @escaping () -> Void
    ) {
        self.id = id
        self.hasDeadline = hasDeadline
        self.bus = bus
        self.nonMaskable = nonMaskable
        self.initialize = initialize
        bus.attach(self)
    }

    package func fields(_ visitor: inout some FieldVisitor) {
        state.fields(&visitor)
        settle()
    }

    // MARK: The processor's side

    /// Whether IA32_APIC_BASE maps the registers at this physical address.
    package func decodes(_ address: UInt64) -> Bool { state.isEnabled && (address ^ state.base) >> 12 == 0 }

    /// IA32_APIC_BASE. Switching the APIC off resets it (10.4.3).
    package var base: UInt64 {
        get { state.base }
        set {
            if newValue & Base.enabled == 0 { state.reset() }
            state.base = newValue
            settle()
        }
    }

    /// The task priority; CR8 is its upper half.
    package var taskPriority: UInt8 {
        get { state.taskPriority }
        set {
            state.taskPriority = newValue
            settle()
        }
    }

    /// IA32_TSC_DEADLINE as the guest reads it.
    package var timestampDeadline: UInt64 { state.timestampDeadline }

    /// Writes IA32_TSC_DEADLINE where the time-stamp counter stands at `timestamp`, counting nanoseconds. Outside its mode
    /// nothing happens (10.5.4.1).
    package func setTimestampDeadline(_ value: UInt64, timestamp: UInt64, now: VirtualTime) {
        guard state.timerMode == .deadline else { return }
        state.timestampDeadline = value
        state.deadline = value == 0 ? nil : now.advanced(byNanoseconds: value > timestamp ? value - timestamp : 0)
    }

    /// The interrupt-acknowledge cycle: the vector to deliver; nil when it is the 8259's turn to give one.
    package func acknowledge() -> UInt8? {
        guard state.isEnabled, let vector = state.deliverable else {
            state.externalRequest = false
            settle()
            return nil
        }
        state.requests.remove(vector)
        state.inService.insert(vector)
        settle()
        return vector
    }

    private func settle() {
        interruptRequest = state.isEnabled ? state.deliverable != nil || state.externalPending : state.lint0
    }

    /// What firmware does before it starts a system: enabled, the 8259s' interrupts come in through LINT0, NMIs through LINT1.
    package func enableVirtualWire() {
        state.spurious |= Self.softwareEnabled
        state.localVectors[Source.lint0.rawValue] = LocalVector.external
        state.localVectors[Source.lint1.rawValue] = LocalVector.nonMaskable
        settle()
    }

    // MARK: Interrupts that come in

    /// Takes a message from the bus if it is for this APIC.
    func receive(_ message: APICMessage) -> Bool {
        guard matches(message) else { return false }
        switch message.delivery {
        case .fixed, .lowestPriority:
            guard state.isSoftwareEnabled else { return false }
            accept(message.vector, level: message.isLevel)
        case .external:
            guard state.isSoftwareEnabled else { return false }
            state.externalRequest = true
            settle()
        case .nonMaskable: nonMaskable()
        case .initialize: initialize()
        // A processor that runs does not wait for a start-up interrupt, and there is no system management mode.
        case .startUp, .systemManagement: break
        case .reserved: return false
        }
        return true
    }

    private func matches(_ message: APICMessage) -> Bool {
        guard state.isEnabled else { return false }
        if message.destination == 0xFF { return true }
        guard message.isLogical else { return message.destination == id }
        let own = state.logicalDestination
        if state.destinationFormat == 0xF { return message.destination & own != 0 }
        return message.destination >> 4 == own >> 4 && message.destination & own & 0xF != 0
    }

    /// Whether a message would interrupt the processor at once, as things stand.
    func couldInterrupt(_ message: APICMessage) -> Bool {
        guard matches(message) else { return false }
        switch message.delivery {
        case .fixed, .lowestPriority: return state.isSoftwareEnabled && state.passes(message.vector)
        case .external: return state.isSoftwareEnabled
        case .nonMaskable, .initialize: return true
        case .startUp, .systemManagement, .reserved: return false
        }
    }

    /// Whether the timer's interrupt would, as things stand.
    package var timerCouldInterrupt: Bool {
        let entry = state.localVectors[Source.timer.rawValue]
        return state.isEnabled && entry & LocalVector.masked == 0 && state.passes(UInt8(truncatingIfNeeded: entry))
    }

    /// Whether LINT0 hands the 8259's interrupts to the processor; `nonMaskable`: as NMIs.
    package func lint0Passes(nonMaskable wanted: Bool) -> Bool {
        guard state.isEnabled else { return !wanted }
        let entry = state.localVectors[Source.lint0.rawValue]
        guard entry & LocalVector.masked == 0 else { return false }
        switch State.delivery(entry) {
        case .external: return !wanted
        case .fixed: return !wanted && state.passes(UInt8(truncatingIfNeeded: entry))
        case .nonMaskable: return wanted
        default: return false
        }
    }

    private func accept(_ vector: UInt8, level: Bool) {
        guard vector >= Self.lowestVector else { return report(ErrorBit.receivedIllegalVector) }
        state.requests.insert(vector)
        if level { state.triggerMode.insert(vector) } else { state.triggerMode.remove(vector) }
        settle()
    }

    /// Notes an error; the first of its kind since ESR was written raises the error interrupt.
    private func report(_ error: UInt8) {
        guard state.errorsSince & error == 0 else { return }
        state.errorsSince |= error
        let entry = state.localVectors[Source.error.rawValue]
        if entry & LocalVector.masked == 0 { accept(UInt8(truncatingIfNeeded: entry), level: false) }
    }

    // MARK: Pins

    /// LINT0, driven by the 8259s; with the APIC switched off, INTR.
    package var lint0: Wire { Wire { [unowned self] in drive(.lint0, $0) } }

    /// LINT1; with the APIC switched off, NMI.
    package var lint1: Wire { Wire { [unowned self] in drive(.lint1, $0) } }

    private func drive(_ source: Source, _ level: Bool) {
        guard state.level(source) != level else { return }
        if source == .lint0 { state.lint0 = level } else { state.lint1 = level }
        guard state.isEnabled else {
            if source == .lint1, level { nonMaskable() }
            return settle()
        }
        sample(source, asserted: state.isAsserted(source), changed: true)
        settle()
    }

    /// Looks at a pin after its level or its entry changed.
    private func sample(_ source: Source, asserted: Bool, changed: Bool) {
        let entry = state.localVectors[source.rawValue]
        guard asserted, entry & LocalVector.masked == 0 else { return }
        switch State.delivery(entry) {
        case .fixed where entry & LocalVector.level != 0 && source == .lint0:
            guard entry & LocalVector.remoteRequest == 0 else { return }
            state.localVectors[source.rawValue] |= LocalVector.remoteRequest
            accept(UInt8(truncatingIfNeeded: entry), level: true)
        case .fixed: if changed { accept(UInt8(truncatingIfNeeded: entry), level: false) }
        case .nonMaskable: if changed { nonMaskable() }
        case .initialize: if changed { initialize() }
        default: break
        }
    }

    // MARK: Timer

    package var nextDeadline: VirtualTime? { state.deadline }

    package func expire(at deadline: VirtualTime) {
        let entry = state.localVectors[Source.timer.rawValue]
        switch state.timerMode {
        case .oneShot: state.deadline = nil
        case .periodic: state.deadline = deadline.advanced(byNanoseconds: max(1, state.period))
        case .deadline:
            state.deadline = nil
            state.timestampDeadline = 0
        }
        if entry & LocalVector.masked == 0 { accept(UInt8(truncatingIfNeeded: entry), level: false) }
    }

    // MARK: Registers

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        // Only the first four bytes of each sixteen are a register.
        let lane = offset & 0xF
        guard lane < 4 else { return 0 }
        return UInt64(read(register: offset >> 4, now)) >> (8 * lane) & (width >= 4 ? .max : 1 << (8 * UInt64(width)) - 1)
    }

    private func read(register: UInt64, _ now: VirtualTime) -> UInt32 {
        switch register {
        case Register.id: return UInt32(id) << 24
        case Register.version: return Self.version
        case Register.taskPriority: return UInt32(state.taskPriority)
        case Register.processorPriority: return UInt32(state.processorPriority)
        case Register.logicalDestination: return UInt32(state.logicalDestination) << 24
        case Register.destinationFormat: return UInt32(state.destinationFormat) << 28 | 0x0FFF_FFFF
        case Register.spurious: return state.spurious
        case Register.inService..<Register.triggerMode: return state.inService.word(register - Register.inService)
        case Register.triggerMode..<Register.requests: return state.triggerMode.word(register - Register.triggerMode)
        case Register.requests..<Register.errorStatus: return state.requests.word(register - Register.requests)
        case Register.errorStatus: return UInt32(state.errors)
        case Register.commandLow: return state.commandLow
        case Register.commandHigh: return state.commandHigh
        case Register.localVectors: return state.localVectors[Int(register - Register.localVectors.lowerBound)]
        case Register.initialCount: return state.initialCount
        case Register.currentCount: return state.currentCount(at: now)
        case Register.divide: return state.divide
        case Register.endOfInterrupt, Register.arbitrationPriority, Register.remoteRead: return 0
        default:
            report(ErrorBit.illegalRegister)
            return 0
        }
    }

    /// Registers are written 32 bits at a time; what else happens is undefined, and here nothing does (10.4.1).
    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        guard offset & 0xF == 0, width >= 4 else { return }
        write(register: offset >> 4, UInt32(truncatingIfNeeded: value), now)
        settle()
    }

    private func write(register: UInt64, _ value: UInt32, _ now: VirtualTime) {
        switch register {
        case Register.taskPriority: state.taskPriority = UInt8(truncatingIfNeeded: value)
        case Register.endOfInterrupt: endOfInterrupt()
        case Register.logicalDestination: state.logicalDestination = UInt8(value >> 24)
        case Register.destinationFormat: state.destinationFormat = UInt8(value >> 28)
        case Register.spurious:
            state.spurious = value & 0x3FF
            if !state.isSoftwareEnabled {
                for index in 0..<6 { state.localVectors[index] |= LocalVector.masked }
                state.schedule(after: now)
            }
        case Register.errorStatus:
            state.errors = state.errorsSince
            state.errorsSince = 0
        case Register.commandLow:
            state.commandLow = value & 0x000C_CFFF
            sendCommand()
        case Register.commandHigh: state.commandHigh = value & 0xFF00_0000
        case Register.localVectors: write(Int(register - Register.localVectors.lowerBound), value, now)
        case Register.initialCount: state.start(value, at: now)
        case Register.divide: state.setDivide(value, at: now)
        case Register.id, Register.version, Register.arbitrationPriority, Register.processorPriority, Register.remoteRead,
            Register.inService..<Register.errorStatus, Register.currentCount:
            break
        default: report(ErrorBit.illegalRegister)
        }
    }

    private func endOfInterrupt() {
        guard let vector = state.inService.highest else { return }
        state.inService.remove(vector)
        guard state.triggerMode.contains(vector) else { return }
        bus.endOfInterrupt(vector)
        let entry = state.localVectors[Source.lint0.rawValue]
        if entry & LocalVector.remoteRequest != 0, UInt8(truncatingIfNeeded: entry) == vector {
            state.localVectors[Source.lint0.rawValue] &= ~LocalVector.remoteRequest
            sample(.lint0, asserted: state.isAsserted(.lint0), changed: false)
        }
    }

    /// Bits of each local vector that can be written.
    private func writableBits(_ source: Source) -> UInt32 {
        switch source {
        case .timer: 0x300FF | (hasDeadline ? LocalVector.deadline : 0)
        case .thermal, .performance: 0x107FF
        case .lint0, .lint1: 0x1A7FF
        case .error: 0x100FF
        }
    }

    private func write(_ index: Int, _ value: UInt32, _ now: VirtualTime) {
        guard let source = Source(rawValue: index) else { return }
        var entry = value & writableBits(source)
        if !state.isSoftwareEnabled { entry |= LocalVector.masked }
        switch source {
        case .timer: state.setTimer(entry, at: now)
        case .lint0, .lint1:
            // The remote request belongs to a level-sensitive interrupt in service.
            if entry & LocalVector.level != 0 { entry |= state.localVectors[index] & LocalVector.remoteRequest }
            state.localVectors[index] = entry
            sample(source, asserted: state.isAsserted(source), changed: false)
        case .thermal, .performance, .error: state.localVectors[index] = entry
        }
    }

    // MARK: Interprocessor interrupts (10.6)

    private func sendCommand() {
        let command = state.commandLow
        guard let delivery = APICMessage.Delivery(rawValue: UInt8(command >> 8 & 7)) else { return }
        let isLevel = command & 1 << 15 != 0
        // An INIT level de-assert only synchronizes arbitration, which there is none of.
        if delivery == .initialize, isLevel, command & 1 << 14 == 0 { return }
        var message = APICMessage(
            vector: UInt8(truncatingIfNeeded: command), delivery: delivery, isLevel: false,
            destination: UInt8(state.commandHigh >> 24), isLogical: command & 1 << 11 != 0)
        if delivery == .fixed || delivery == .lowestPriority, message.vector < Self.lowestVector {
            return report(ErrorBit.sendIllegalVector)
        }
        switch command >> 18 & 3 {
        case 0: bus.send(message)
        case 1:
            // To oneself only fixed interrupts can be sent (table 10-3).
            guard delivery == .fixed else { return }
            message.destination = id
            message.isLogical = false
            _ = receive(message)
        case 2:
            message.destination = 0xFF
            bus.send(message)
        // All but this processor: there is no other.
        default: break
        }
    }
}
