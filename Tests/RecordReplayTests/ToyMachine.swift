import Devices
import RecordReplay
import VirtualPC
import X86

/// A machine of a few lines that keeps the contract: boundaries, idle time and timers as rulings R2 to R5 say. Its program
/// mixes everything it is given into one register, echoes its input, and halts now and then. With a flaw it breaks the
/// contract in one way.
final class ToyMachine: Replayable {
    /// A nondeterminism planted to be found.
    enum Flaw: CaseIterable {
        case hostClock, lostInterrupt, uninitialisedByte, unorderedIteration, lateTimer, skippedStep
    }

    static let timerPeriod: UInt64 = 10_000

    private(set) var position = Position.zero
    private var idleTime: UInt64 = 0
    private var mixed: UInt64 = 1
    private var ticks: UInt64 = 0
    private var given: UInt64 = 0
    private var nextTick: UInt64 = timerPeriod
    private var halted = false
    private var demanded: Outcome?
    private let flaw: Flaw?
    /// The position from which the flaw shows.
    private let flawFrom: UInt64

    init(flaw: Flaw? = nil, from: UInt64 = 0) {
        self.flaw = flaw
        flawFrom = from
    }

    var now: VirtualTime { VirtualTime(nanoseconds: position.rawValue + idleTime) }

    static var manifest: Manifest {
        var manifest = Manifest(boot: Manifest.Boot(kind: "flat"))
        manifest.memory = 1 << 20
        return manifest
    }

    func snapshot() -> Snapshot { Snapshot(fields: [], memoryBytes: 1 << 20) }

    func rung() -> Rung {
        var writer = FieldWriter()
        writer.begin("cpu", index: 0)
        var (mixed, position) = (mixed, position.rawValue)
        writer.integer("mixed", &mixed)
        writer.integer("rip", &position)
        writer.end()
        var timer = FieldWriter()
        writer.integer("given", &given)
        timer.integer("ticks", &ticks)
        timer.integer("nextTick", &nextTick)
        return Rung(
            position: self.position, time: now, registers: writer.bytes,
            chips: [ChipDigest(name: "PIT", digest: Digest(of: timer.bytes))], memory: [.zeroRange])
    }

    func run(until limit: Position, time: VirtualTime?, source: any EventSource) -> Machine.Stop {
        while true {
            if let demanded { return .ended(demanded, detail: "") }
            if position >= limit { return .reached }
            if let time, now >= time { return .reached }
            for event in source.events(at: position, now: now) {
                if let stop = apply(event) { return stop }
            }
            if source.wantsStop { return .abandoned }
            while nextTick <= now.nanoseconds { tick() }
            if let demanded { return .ended(demanded, detail: "") }
            if halted {
                if let stop = idle(until: time, source) { return stop }
                continue
            }
            var budget = min(limit, source.nextPause(after: position))
            if let time { budget = min(budget, Position(time.nanoseconds - idleTime)) }
            budget = min(budget, Position(nextTick - idleTime))
            precondition(budget > position, "a pause or a deadline lies ahead")
            while position < budget, !halted {
                if step(source) { break }
            }
        }
    }

    private func idle(until time: VirtualTime?, _ source: any EventSource) -> Machine.Stop? {
        // After its eighth tick the timer wakes nobody for a while.
        let waking = ticks % 64 < 8 ? nil : VirtualTime(nanoseconds: nextTick)
        let end = [waking, time].compactMap { $0 }.min()
        var target: VirtualTime
        switch source.idle(at: position, now: now, until: end) {
        case .at(let arrival):
            precondition(arrival > now && arrival <= end ?? arrival, "an event arrives between now and the deadline")
            target = arrival
        case .none where end != nil, .closed where waking != nil: target = end ?? now
        case .none, .closed: return source.wantsStop ? .abandoned : .ended(.halted, detail: "")
        }
        while nextTick < target.nanoseconds { tick() }
        if flaw == .lateTimer, position.rawValue >= flawFrom { target = target.advanced(byNanoseconds: 1) }
        idleTime += target.nanoseconds - now.nanoseconds
        return nil
    }

    private func mix(_ value: UInt64) { mixed = (mixed ^ value) &* 0x9E37_79B9_7F4A_7C15 ^ mixed >> 29 }

    private func tick() {
        ticks += 1
        nextTick += Self.timerPeriod
        if flaw == .lostInterrupt, position.rawValue >= flawFrom, ticks % 3 == 0 { return }
        mix(ticks ^ position.rawValue)
        if ticks % 64 >= 8 { halted = false }
    }

    /// Makes a step. True when it touched a device.
    private func step(_ source: any EventSource) -> Bool {
        position = position.advanced(by: 1)
        mix(position.rawValue)
        // Halts in a pattern of its own, not of the register's.
        if position.rawValue % 1499 == 0 { halted = true }
        let sends = position.rawValue % 4001 == 0
        if sends { source.output(port: 0, byte: UInt8(truncatingIfNeeded: mixed)) }
        guard let flaw, position.rawValue >= flawFrom, position.rawValue % 2003 == 0 else { return sends }
        switch flaw {
        case .hostClock: mix(HostClock.monotonic.nanoseconds())
        case .uninitialisedByte: mix(UInt64(UInt(bitPattern: ObjectIdentifier(FreshObject()).hashValue)))
        case .unorderedIteration: for value in Set((0..<100).map { $0 * 7 + ticks }) { mix(value) }
        case .skippedStep: mixed &+= 1
        case .lostInterrupt, .lateTimer: break
        }
        return sends
    }

    private final class FreshObject {}

    private func apply(_ event: Event) -> Machine.Stop? {
        given += 1
        halted = false
        switch event {
        case .serial(let port, let bytes):
            for byte in bytes {
                mix(UInt64(port) << 8 | UInt64(byte))
                if byte == UInt8(ascii: "q") { demanded = .powerOff }
            }
        case .keyboard(let bytes): for byte in bytes { mix(UInt64(byte) << 16) }
        case .powerButton: mix(0xB0)
        case .stop: return .ended(.interrupted, detail: "by the user")
        }
        return nil
    }
}
