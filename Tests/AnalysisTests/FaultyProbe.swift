import Analysis
import Devices
import VirtualPC
import X86

/// A build with a defect: at certain positions it does something to the machine that others do not.
final class FaultyProbe: RunProbe {
    private let base: LocalProbe
    private let positions: [UInt64]
    private let defect: (Machine) -> Void
    private var target = Position.zero

    /// - Parameter defect: done when one of the positions is come to; done twice it is as if done once.
    init(_ run: TraceRun, at positions: [UInt64], _ defect: @escaping (Machine) -> Void) {
        base = LocalProbe(run)
        self.positions = positions
        self.defect = defect
    }

    func startMove(to position: Position) { target = position }

    func finishMove(progress: (Position, VirtualTime) -> Void) throws(DiffError) -> Standing {
        let run = base.run
        var from = run.position
        if target < from { from = run.keptPositions.last { $0 <= target } ?? .zero }
        for position in positions.map({ Position($0) }) where position > from && position <= target {
            base.startMove(to: position)
            let standing = try base.finishMove(progress: progress)
            if standing.stop != nil { return standing }
            defect(run.machine)
        }
        base.startMove(to: target)
        return try base.finishMove(progress: progress)
    }

    func keep(forgettingBefore limit: Position) { base.keep(forgettingBefore: limit) }
    func rung() -> Rung { base.rung() }
    func chipState(_ chip: String) -> [UInt8] { base.chipState(chip) }
    func pageDigests(ofRange range: Int) -> [Digest] { base.pageDigests(ofRange: range) }
    func page(_ index: Int) -> [UInt8] { base.page(index) }
    func nextInstruction() -> InstructionRecord { base.nextInstruction() }
    func deliveredVector() -> UInt8? { base.deliveredVector() }
    func setRegisters(_ registers: [UInt8]) throws(DiffError) { try base.setRegisters(registers) }
}
