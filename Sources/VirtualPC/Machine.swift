import Devices
import X86

/// A PC: processor, memory and chips wired from a manifest. A pure function of its initial snapshot and its events.
package final class Machine {
    /// Why `run` came back.
    package enum Stop: Equatable, Sendable {
        /// The position (or virtual time) asked for was reached; nothing of that boundary has happened yet.
        case reached
        /// The run is over for good. `detail` says more for people; of a `debugExit` it is the value, in decimal.
        case ended(Outcome, detail: String)
        /// The event source wants no more (`EventSource.wantsStop`).
        case abandoned
    }

    package let manifest: Manifest
    package let memory: PhysicalMemory
    package let processor: Processor
    /// Shown each byte that leaves through a serial port (0 is COM1, 1 is COM2). Observation only.
    package var console: ((_ port: UInt8, _ byte: UInt8) -> Void)?
    /// Shown each byte that leaves through the debug console at port E9H. Observation only.
    package var debugConsole: ((UInt8) -> Void)?

    let engine: any Engine
    let board: Board
    let a20Gate: A20Gate
    let outlet: Outlet
    let digests: MemoryDigests
    var clock: VirtualClock
    /// How many events the machine was given.
    package internal(set) var eventCount: UInt64 = 0

    /// A machine at power-on: RAM zero, nothing loaded. `memoryLimit` caps the RAM that the manifest may ask for (ruling R24);
    /// `knobs` change no bit of a run.
    package init(manifest: Manifest, knobs: EngineKnobs = EngineKnobs(), memoryLimit: UInt64? = nil) throws(MachineError) {
        let model = try manifest.validated(memoryLimit: memoryLimit)
        do throws(PhysicalMemory.Failure) {
            memory = try PhysicalMemory(byteCount: manifest.memory, romByteCount: manifest.rom ?? 0)
        } catch {
            throw .memoryNotMapped(manifest.memory)
        }
        self.manifest = manifest
        processor = Processor(model: model, memory: memory, knobs: knobs)
        processor.state.entropy = SeededStream(seed: manifest.seed, purpose: .processor)
        do throws(CodeMemoryError) {
            engine = knobs.engine == .interpret ? Interpreter(processor) : try Translator(processor)
        } catch {
            throw .codeNotMapped
        }
        outlet = Outlet()
        a20Gate = A20Gate(processor)
        board = Board(manifest, outlet: outlet, a20: a20Gate, processor: processor)
        digests = MemoryDigests(memory)
        clock = VirtualClock(numerator: manifest.rateNumerator, denominator: manifest.rateDenominator)
        processor.bus = self
    }

    /// The translator, where it is the engine.
    package var translator: Translator? { engine as? Translator }
    /// The interpreter, where it is the engine.
    package var interpreter: Interpreter? { engine as? Interpreter }

    package var position: Position { processor.position }
    /// The virtual time of the boundary at `position`.
    package var now: VirtualTime { clock.time(at: processor.position) }
}
