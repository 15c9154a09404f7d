import Devices
import VirtualPC
import X86

/// Gives a machine the input of a script. The same script on the same machine is the same run.
package final class ScriptedInput: EventSource {
    private let steps: [InputScript.Step]
    private let rate: (numerator: UInt64, denominator: UInt64)
    private var index = 0
    /// When the line before happened.
    private var reference = VirtualTime.zero
    /// What COM1 sent since the line before, as much of it as the text that is waited for has.
    private var heard: [UInt8] = []
    private var hasHeard = false
    private var asked = (position: Position.zero, time: VirtualTime.zero)

    /// - Parameter manifest: has the rate that turns times into positions.
    package init(_ script: InputScript, manifest: Manifest) {
        steps = script.steps
        rate = (manifest.rateNumerator, manifest.rateDenominator)
    }

    private var step: InputScript.Step? { index < steps.count ? steps[index] : nil }

    /// When the current line's input is due; nil while it waits for a text, and after the last line.
    private func dueTime(_ now: VirtualTime) -> VirtualTime? {
        switch step?.when {
        case .at(let time): time
        case .after(let nanoseconds): reference.advanced(byNanoseconds: nanoseconds)
        case .expect: hasHeard ? now : nil
        case nil: nil
        }
    }

    private func advance(_ now: VirtualTime) {
        index += 1
        reference = now
        heard = []
        hasHeard = false
    }

    package func events(at position: Position, now: VirtualTime) -> [Event] {
        asked = (position, now)
        var events: [Event] = []
        while let due = dueTime(now), due <= now {
            if let event = step?.event { events.append(event) }
            advance(now)
        }
        return events
    }

    package func nextPause(after position: Position) -> Position {
        guard let due = dueTime(asked.time) else { return .max }
        guard due > asked.time else { return position.advanced(by: 1) }
        // The first position of that time or a later one, from where the time is known.
        let wide = (due.nanoseconds - asked.time.nanoseconds).multipliedFullWidth(by: rate.denominator)
        guard wide.high < rate.numerator else { return .max }
        let steps = rate.numerator.dividingFullWidth(wide).quotient
        return max(asked.position.advanced(by: steps), position.advanced(by: 1))
    }

    package func idle(at position: Position, now: VirtualTime, until deadline: VirtualTime?) -> Arrival {
        // A line that has only waited is done.
        while let step, step.event == nil, let due = dueTime(now), due <= now { advance(now) }
        // Without another line, or waiting for what a guest sends that nothing wakes, there is no input to come.
        guard let due = dueTime(now) else { return .closed }
        if let deadline, due > deadline { return .none }
        return .at(max(due, now))
    }

    package func output(port: UInt8, byte: UInt8) {
        guard port == 0, !hasHeard, case .expect(let text) = step?.when else { return }
        heard.append(byte)
        if heard.count > text.count { heard.removeFirst(heard.count - text.count) }
        hasHeard = heard == text
    }
}
