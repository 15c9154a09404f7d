import Devices
import X86

extension Machine {
    /// Runs until `limit` (or the first instant at or past `time`) is reached, or the run ends. Returns at the first instant
    /// of that position, before anything of its boundary has happened; a later call goes on exactly there.
    package func run(until limit: Position, time: VirtualTime? = nil, source: any EventSource) -> Stop {
        outlet.listener = { [unowned self] connector, byte in
            switch connector {
            case .serial(let port):
                source.output(port: port, byte: byte)
                console?(port, byte)
            case .debug: debugConsole?(byte)
            }
        }
        defer { outlet.listener = nil }
        while true {
            if let demanded = outlet.demanded { return Self.stop(demanded) }
            // The boundary, in the order of ruling R2. First observe.
            let position = position
            let now = now
            if position >= limit { return .reached }
            if let time, now >= time { return .reached }
            if now >= VirtualClock.end { return .ended(.halted, detail: "virtual time has come to its end") }
            // Then the events of this instant.
            let events = source.events(at: position, now: now)
            if source.wantsStop { return .abandoned }
            for event in events {
                if let stop = apply(event, at: now) { return stop }
            }
            // Then the timers.
            var deadline = board.nextDeadline
            if let due = deadline, due <= now {
                fireTimers(through: now)
                if let demanded = outlet.demanded { return Self.stop(demanded) }
                deadline = board.nextDeadline
            }
            // The processor takes pending traps and interrupts by itself, else it executes.
            processor.interruptLine = board.interrupts.request
            processor.timestampBase = clock.timestampBase
            var budget = min(limit, source.nextPause(after: position))
            if let time { budget = min(budget, clock.firstPosition(reaching: time)) }
            if let deadline, !PlantedFault.budgetPastDeadline.isPlanted { budget = min(budget, clock.firstPosition(reaching: deadline)) }
            precondition(budget > position, "a pause or a deadline lies ahead")
            switch engine.run(until: budget) {
            case .position, .attention:
                if PlantedFault.accumulatedTime.isPlanted { clock.idle += 1 }
            case .halted:
                if let stop = idle(until: time, source: source) { return stop }
            case .tripleFault: return .ended(.tripleFault, detail: "triple fault at \(instructionPointer)")
            case .unimplemented(let bytes):
                let text = bytes.map { Self.hexadecimal($0, digits: 2) }.joined(separator: " ")
                return .ended(.unimplemented, detail: "instruction [\(text)] at \(instructionPointer) is not implemented")
            }
        }
    }

    private static func stop(_ demand: Outlet.Demand) -> Stop {
        switch demand {
        case .powerOff: .ended(.powerOff, detail: "the guest switched the power off")
        case .reset: .ended(.reset, detail: "the guest reset the machine")
        case .debugExit(let value): .ended(.debugExit, detail: String(value))
        }
    }

    private func apply(_ event: Event, at now: VirtualTime) -> Stop? {
        eventCount += 1
        switch event {
        case .serial(let port, let bytes):
            if Int(port) < board.serial.count { board.serial[Int(port)].receive(bytes, at: now) }
        case .keyboard(let bytes): board.keyboard.receive(keyboard: bytes, at: now)
        case .powerButton: board.power.pressPowerButton(at: now)
        case .stop: return .ended(.interrupted, detail: "stopped by the user")
        }
        return nil
    }

    /// Lets every timer due by `now` expire, in the order (deadline, board index, timer index) of ruling R18.
    private func fireTimers(through now: VirtualTime) {
        while let (device, deadline) = board.earliest, deadline <= now {
            device.advance(to: deadline)
            device.expire(at: deadline)
        }
    }

    /// All vCPUs are halted (ruling R4): moves the time to whatever comes first, or finds that nothing can come.
    private func idle(until limit: VirtualTime?, source: any EventSource) -> Stop? {
        let now = now
        let hasNonMaskable = processor.hasPendingNMI || processor.acceptsNMI && board.interrupts.hasNonMaskableSource
        guard processor.acceptsInterrupts || hasNonMaskable else {
            return .ended(.halted, detail: "halted with interrupts off at \(instructionPointer)")
        }
        let waking = wakingDeadline
        let end = [waking, limit].compactMap { $0 }.min()
        let arrival = source.idle(at: position, now: now, until: end)
        if source.wantsStop { return .abandoned }
        let target: VirtualTime
        switch arrival {
        case .at(let time):
            precondition(time >= now && time <= end ?? time, "an event arrives between now and the deadline")
            target = time
        case .none, .closed:
            guard let end, waking != nil || arrival == .none else {
                return .ended(.halted, detail: "halted with nothing that could wake it at \(instructionPointer)")
            }
            target = end
        }
        clock.idle += passTimers(before: target).nanoseconds(since: now)
        return nil
    }

    /// When a timer can wake the processor first, as things stand.
    private var wakingDeadline: VirtualTime? {
        let interrupt = processor.acceptsInterrupts ? board.wakingDeadline(nonMaskable: false) : nil
        let nonMaskable = processor.acceptsNMI ? board.wakingDeadline(nonMaskable: true) : nil
        return [interrupt, nonMaskable].compactMap { $0 }.min()
    }

    /// Fires the timers that are due before `target` although none of them can wake the processor: each deadline is an
    /// instant of its own, and `target`'s events come after it. Gives the time to move to: `target`, or earlier if a line
    /// rose all the same.
    private func passTimers(before target: VirtualTime) -> VirtualTime {
        while let (device, deadline) = board.earliest, deadline < target {
            device.advance(to: deadline)
            device.expire(at: deadline)
            if board.interrupts.request || processor.hasPendingNMI || outlet.demanded != nil { return deadline }
        }
        return target
    }

    /// CS:RIP, for reports.
    private var instructionPointer: String {
        let state = processor.state
        return Self.hexadecimal(UInt64(state.segments[SegmentIndex.cs].selector), digits: 4) + ":"
            + Self.hexadecimal(state.rip, digits: 8)
    }

    private static func hexadecimal(_ value: some BinaryInteger, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
