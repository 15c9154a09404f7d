import Glibc

/// Measures the interpreter's way of dispatch with as many handlers as an instruction set has: function pointers called from a
/// loop, each returning a status, faults left in the core. Prints million steps a second of CPU time.
///
/// `swift run -c release dispatch-bench`
@main
struct DispatchBench {
    static func main() {
        let core = UnsafeMutablePointer<Core>.allocate(capacity: 1)
        core.initialize(to: Core(host: .allocate(byteCount: 4096, alignment: 4096)))
        core.pointee.host.initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
        for (label, blocks) in [("one loop of 12 instructions", 1), ("1,024 blocks of 12 instructions", 1024)] {
            let program = assemble(blocks: blocks, length: 12)
            _ = run(core, program, blocks: blocks, steps: 1_000_000)
            let steps: UInt64 = 200_000_000
            let start = clock()
            _ = run(core, program, blocks: blocks, steps: steps)
            let seconds = Double(clock() - start) / Double(CLOCKS_PER_SEC)
            print("\(handlers.count) handlers, \(label): \(Int(Double(steps) / seconds / 1e6)) million steps a CPU second")
            program.deallocate()
        }
        core.deallocate()
    }

    /// Blocks of instructions drawn from all handlers by a fixed generator.
    private static func assemble(blocks: Int, length: Int) -> UnsafeMutablePointer<Instruction> {
        let program = UnsafeMutablePointer<Instruction>.allocate(capacity: blocks * length)
        var seed: UInt64 = 1
        for index in 0..<blocks * length {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            var instruction = Instruction(handler: handlers[Int(seed >> 33) % handlers.count])
            instruction.displacement = seed >> 40
            instruction.length = UInt8(1 + seed >> 60 & 7)
            (program + index).initialize(to: instruction)
        }
        return program
    }

    /// The interpreter's two loops: find a block, execute it.
    private static func run(_ core: UnsafeMutablePointer<Core>, _ program: UnsafeMutablePointer<Instruction>, blocks: Int, steps: UInt64) -> UInt32 {
        core.pointee.stopAt = core.pointee.position + steps
        var block = 0
        while core.pointee.position < core.pointee.stopAt {
            let status = execute(core, program + block * 12, count: 12)
            if status != 0 { return status }
            // The next block depends on the data, as a branch's does.
            block = (block &+ 1 &+ Int(core.pointee.flags &>> 6 & 1)) & (blocks - 1)
        }
        return 0
    }

    @inline(never)
    private static func execute(_ core: UnsafeMutablePointer<Core>, _ first: UnsafeMutablePointer<Instruction>, count: Int) -> UInt32 {
        let end = first + count
        var instruction = first
        var position = core.pointee.position
        var ip = core.pointee.rip
        while true {
            let status = instruction.pointee.handler(core, instruction)
            guard status == 0 else { return status }
            ip = ip &+ UInt64(instruction.pointee.length)
            position &+= 1
            core.pointee.rip = ip
            core.pointee.position = position
            instruction += 1
            if position >= core.pointee.stopAt || instruction == end { return 0 }
        }
    }
}
