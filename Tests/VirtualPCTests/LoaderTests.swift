import Devices
import Testing
import VirtualPC
import X86

@Suite("Loaders")
struct LoaderTests {
    /// A machine into which `source` was loaded.
    private func machine(_ source: BootSource, memory: UInt64 = 16 << 20, seed: UInt64 = 0, cpu: String = "i686") throws -> Machine {
        var manifest = Manifest(boot: source.manifestEntry)
        manifest.memory = memory
        manifest.seed = seed
        manifest.cpu = cpu
        let machine = try Machine(manifest: manifest)
        try machine.load(source)
        return machine
    }

    /// What loading says, or nil where it works.
    private func failure(_ source: BootSource, memory: UInt64 = 16 << 20) -> String? {
        do {
            _ = try machine(source, memory: memory)
            return nil
        } catch {
            return "\(error)"
        }
    }

    private func linux(_ bytes: [UInt8], initrd: [UInt8]? = nil, commandLine: String = "") -> BootSource {
        .kernel(
            ImageFile(name: "vmlinuz", bytes: bytes), initrd: initrd.map { ImageFile(name: "initrd", bytes: $0) },
            commandLine: commandLine)
    }

    private func text(_ machine: Machine, at address: UInt64) -> String {
        String(decoding: machine.memory.read(PhysicalAddress(address), count: 4096).prefix { $0 != 0 }, as: UTF8.self)
    }

    // Linux

    @Test("a bzImage starts by the 32-bit boot protocol")
    func bzImage() throws {
        let initrd = (0..<10_000).map { UInt8(truncatingIfNeeded: $0) }
        let machine = try machine(linux(BootImages.bzImage(), initrd: initrd, commandLine: "console=ttyS0 quiet"))
        let state = machine.processor.state
        #expect(state.rip == 0x100000)
        #expect(state.cr0 == CR0.pe | CR0.et)
        #expect(state.rflags == 2)
        #expect(state.segments[SegmentIndex.cs].selector == 0x10)
        for index in [SegmentIndex.ds, SegmentIndex.es, SegmentIndex.ss] {
            #expect(state.segments[index].selector == 0x18)
            #expect(state.segments[index].base == 0)
            #expect(state.segments[index].limit == 0xFFFF_FFFF)
        }
        #expect(machine.register(GPR.rbx) == 0 && machine.register(GPR.rbp) == 0 && machine.register(GPR.rdi) == 0)
        // The GDT holds what the selectors say.
        #expect(machine.load(state.gdtr.base + 0x10, bytes: 8) == 0x00CF_9B00_0000_FFFF)
        #expect(machine.load(state.gdtr.base + 0x18, bytes: 8) == 0x00CF_9300_0000_FFFF)

        let page = machine.register(GPR.rsi)
        #expect(machine.load(page + 0x202, bytes: 4) == 0x5372_6448, "HdrS")
        #expect(machine.load(page + 0x210, bytes: 1) == 0xFF)
        #expect(text(machine, at: machine.load(page + 0x228, bytes: 4)) == "console=ttyS0 quiet")
        let address = machine.load(page + 0x218, bytes: 4)
        #expect(address == (16 << 20) - 0x3000)
        #expect(machine.load(page + 0x21C, bytes: 4) == 10_000)
        #expect(machine.memory.read(PhysicalAddress(address), count: 10_000) == initrd)
        #expect(machine.load(0x100000, bytes: 1) == 0xF4)
        #expect(machine.load(page + 0x070, bytes: 8) == 0xE0000, "the ACPI root pointer")
        // E820: conventional memory, extended BIOS data, firmware, extended memory.
        #expect(machine.load(page + 0x1E8, bytes: 1) == 4)
        let map = (0..<4).map { index in
            [0, 8, 16].map { machine.load(page + 0x2D0 + 20 * UInt64(index) + UInt64($0), bytes: $0 == 16 ? 4 : 8) }
        }
        #expect(map == [[0, 0x9FC00, 1], [0x9FC00, 0x400, 2], [0xE0000, 0x20000, 2], [0x100000, 15 << 20, 1]])
        guard case .ended(.halted, _) = machine.run(to: 10) else { return #expect(Bool(false), "the kernel halts") }
    }

    @Test("the seed decides the entropy that a kernel is given, and nothing else does")
    func seed() throws {
        func entropy(_ seed: UInt64) throws -> [UInt8] {
            let machine = try machine(linux(BootImages.bzImage()), seed: seed)
            let data = machine.load(machine.register(GPR.rsi) + 0x250, bytes: 8)
            #expect(machine.load(data, bytes: 8) == 0, "the last of its list")
            #expect(machine.load(data + 8, bytes: 4) == 9, "SETUP_RNG_SEED")
            #expect(machine.load(data + 12, bytes: 4) == 32)
            return machine.memory.read(PhysicalAddress(data + 16), count: 32)
        }
        #expect(try entropy(1) == entropy(1))
        #expect(try entropy(1) != entropy(2))
        #expect(try entropy(0) != [UInt8](repeating: 0, count: 32))
    }

    @Test("memory above 3 GiB is told above 4 GiB")
    func highMemory() throws {
        let machine = try machine(linux(BootImages.bzImage()), memory: 5 << 30)
        let page = machine.register(GPR.rsi)
        #expect(machine.load(page + 0x1E8, bytes: 1) == 5)
        #expect(machine.load(page + 0x2D0 + 60 + 8, bytes: 8) == (3 << 30) - (1 << 20))
        #expect(machine.load(page + 0x2D0 + 80, bytes: 8) == 4 << 30)
        #expect(machine.load(page + 0x2D0 + 88, bytes: 8) == 2 << 30)
    }

    @Test("an ELF kernel is entered at its physical entry with boot parameters made for it")
    func vmlinux() throws {
        for entry: UInt32 in [0x20_0004, 0xC020_0004] {
            let machine = try machine(linux(BootImages.elf(entry: entry), initrd: [1, 2, 3], commandLine: "a b"))
            #expect(machine.processor.state.rip == 0x20_0004)
            let page = machine.register(GPR.rsi)
            #expect(machine.load(page + 0x1FE, bytes: 2) == 0xAA55)
            #expect(machine.load(page + 0x202, bytes: 4) == 0x5372_6448)
            #expect(machine.load(page + 0x210, bytes: 2) == 0x01FF)
            #expect(text(machine, at: machine.load(page + 0x228, bytes: 4)) == "a b")
            #expect(machine.load(machine.load(page + 0x218, bytes: 4), bytes: 3) == 0x030201)
            guard case .ended(.halted, _) = machine.run(to: 10) else { return #expect(Bool(false), "the kernel halts") }
        }
    }

    @Test("a 64-bit ELF kernel is entered in 64-bit mode with the first 4 GiB mapped to themselves")
    func vmlinux64() throws {
        for entry: UInt64 in [0x20_0004, 0xFFFF_FFFF_8020_0004] {
            let machine = try machine(linux(BootImages.elf64(entry: entry), commandLine: "a b"), cpu: "x86-64-v1")
            let state = machine.processor.state
            #expect(state.rip == 0x20_0004)
            #expect(state.efer == EFER.lme | EFER.lma && state.cr0 == CR0.pe | CR0.et | CR0.pg && state.cr4 == CR4.pae)
            let page = machine.register(GPR.rsi)
            #expect(text(machine, at: machine.load(page + 0x228, bytes: 4)) == "a b")
            guard case .ended(.halted, _) = machine.run(to: 10) else { return #expect(Bool(false), "the kernel halts") }
            #expect(machine.register(GPR.rax) == 0x1234_5678_9ABC_DEF0)
            #expect(machine.load(0x40_0000, bytes: 8) == 0x1234_5678_9ABC_DEF0)
        }
    }

    @Test("what is no kernel is refused by file and reason", arguments: [
        ("empty", "vmlinuz: the file is empty"),
        ("short", "vmlinuz: no bzImage: the file ends inside the setup header, at byte 100"),
        ("text", "vmlinuz: no bzImage: the boot sector's signature 55 AA is missing"),
        ("bootSector", "vmlinuz: no bzImage: the setup header's signature \"HdrS\" is missing"),
        ("old", "vmlinuz: no bzImage: its boot protocol 2.1 is older than 2.02"),
        ("zImage", "vmlinuz: no bzImage: it is a zImage, loaded below 640 KiB"),
        ("noKernel", "vmlinuz: no bzImage: the file ends before the protected-mode kernel"),
        ("entry", "vmlinuz: no bzImage: its entry 0x90000000 lies outside the kernel"),
        ("header", "vmlinuz: no bzImage: the setup header's length is impossible"),
        ("large", "vmlinuz: the kernel needs memory up to 257 MiB to unpack itself"),
        ("elfWidth", "vmlinuz: no ELF kernel: it is not a 32-bit or 64-bit ELF file"),
        ("elf64", "vmlinuz: a 64-bit kernel cannot run on the processor model i686"),
        ("elfObject", "vmlinuz: no ELF kernel: it is not an executable (type 1)"),
        ("elfARM", "vmlinuz: no ELF kernel: it is for another processor (machine 40)"),
        ("elfCut", "vmlinuz: no ELF kernel: the file ends inside segment 0, at byte 90"),
        ("elfEntry", "vmlinuz: no ELF kernel: its entry 0x12345678 lies in no segment"),
        ("elfHigh", "vmlinuz: segment 0 (4096 bytes at 0xfffff000) does not lie in usable memory"),
    ])
    func refused(_ kind: String, message: String) {
        var image = BootImages.bzImage()
        switch kind {
        case "empty": image = []
        case "short": image = Array(image.prefix(100))
        case "text": image = [UInt8](repeating: 0x20, count: 5_000)
        case "bootSector": image[0x202] = 0
        case "old": BootImages.store(UInt16(0x0201), in: &image, at: 0x206)
        case "zImage": image[0x211] = 0
        case "noKernel": image = Array(image.prefix(1024))
        case "entry": BootImages.store(UInt32(0x9000_0000), in: &image, at: 0x214)
        case "header": image[0x201] = 0xFF
        case "large": BootImages.store(UInt64(256 << 20), in: &image, at: 0x258)
        case "elfWidth":
            image = BootImages.elf()
            image[4] = 3
        case "elf64": image = BootImages.elf64()
        case "elfObject":
            image = BootImages.elf()
            image[16] = 1
        case "elfARM":
            image = BootImages.elf()
            image[18] = 40
        case "elfCut": image = Array(BootImages.elf().prefix(90))
        case "elfEntry": image = BootImages.elf(entry: 0x1234_5678)
        default: image = BootImages.elf(physical: 0xFFFF_F000, entry: 0xC020_0004)
        }
        #expect(failure(linux(image)) == message)
    }

    @Test("an initrd that does not fit and a command line that is too long are refused")
    func tooLarge() {
        let image = BootImages.bzImage()
        #expect(
            failure(linux(image, initrd: [UInt8](repeating: 1, count: (13 << 20) + 1)))
                == "initrd: the initrd does not fit: it has 13631489 bytes, and between the kernel and the end of the memory that "
                + "the kernel allows for it there are 13631488")
        #expect(failure(linux(image, initrd: [UInt8](repeating: 1, count: 13 << 20))) == nil)
        #expect(failure(linux(image, initrd: [])) == "initrd: the file is empty")
        #expect(failure(linux(image, commandLine: String(repeating: "x", count: 2047))) == nil)
        #expect(
            failure(linux(image, commandLine: String(repeating: "x", count: 2048)))
                == "the command line has 2048 bytes, the kernel takes at most 2047")
        #expect(failure(linux(image, commandLine: "a\u{0}b")) == "the command line holds a zero byte")
    }

    // Multiboot

    @Test("a multiboot kernel gets memory map, command line and modules", arguments: [true, false])
    func multiboot(elf: Bool) throws {
        let kernel = ImageFile(name: "kernel", bytes: elf ? BootImages.multibootELF() : BootImages.multibootByAddresses())
        let modules = [
            BootSource.Module(file: ImageFile(name: "one", bytes: [1, 2, 3]), arguments: "x=1"),
            BootSource.Module(file: ImageFile(name: "two", bytes: [UInt8](repeating: 7, count: 5_000))),
        ]
        let machine = try machine(.multiboot(kernel, modules: modules, commandLine: "verbose"))
        #expect(machine.processor.state.rip == (elf ? 0x20_0004 : 0x20_0040))
        #expect(machine.register(GPR.rax) == 0x2BAD_B002)
        let information = machine.register(GPR.rbx)
        func word(_ offset: UInt64) -> UInt64 { machine.load(information + offset, bytes: 4) }
        #expect(word(0) == 0x24D)
        #expect(word(4) == 639)
        #expect(word(8) == 15 << 10)
        #expect(text(machine, at: word(16)) == "kernel verbose")
        #expect(text(machine, at: word(64)) == "hindsight")
        #expect(word(44) == 4 * 24)
        #expect(machine.load(word(48), bytes: 4) == 20)
        #expect(machine.load(word(48) + 3 * 24 + 4, bytes: 8) == 0x100000)
        #expect(word(20) == 2)
        let table = word(24)
        #expect(machine.load(table, bytes: 4) % 4096 == 0)
        #expect(machine.load(table, bytes: 4) >= 0x20_1000)
        #expect(machine.load(table + 4, bytes: 4) == machine.load(table, bytes: 4) + 3)
        #expect(machine.load(machine.load(table, bytes: 4), bytes: 3) == 0x030201)
        #expect(text(machine, at: machine.load(table + 8, bytes: 4)) == "one x=1")
        #expect(machine.load(machine.load(table + 16, bytes: 4) + 4_999, bytes: 1) == 7)
        #expect(text(machine, at: machine.load(table + 24, bytes: 4)) == "two")
        guard case .ended(.halted, _) = machine.run(to: 10) else { return #expect(Bool(false), "the kernel halts") }
    }

    @Test("what is no multiboot kernel is refused by file and reason")
    func noMultiboot() {
        func failure(_ bytes: [UInt8]) -> String? {
            self.failure(.multiboot(ImageFile(name: "kernel", bytes: bytes), modules: [], commandLine: ""))
        }
        #expect(failure([]) == "kernel: the file is empty")
        #expect(failure(BootImages.elf()) == "kernel: no multiboot kernel: no multiboot header in the first 8 KiB")
        #expect(
            failure(BootImages.elf(prefix: BootImages.multibootHeader(flags: 4)))
                == "kernel: the multiboot header demands a video mode (flags 0x4)")
        #expect(
            failure(BootImages.multibootHeader(flags: 0x10000))
                == "kernel: no multiboot kernel: the file ends inside the multiboot header, at byte 12")
        #expect(
            failure(BootImages.multibootHeader(flags: 0x10000, addresses: [0x100000, 0x200000, 0, 0, 0]))
                == "kernel: no multiboot kernel: its addresses put the header outside the file")
        #expect(
            failure(BootImages.multibootHeader(flags: 0x10000, addresses: [0xA0000, 0xA0000, 0, 0, 0xA0000]))
                == "kernel: the kernel (32 bytes at 0xa0000) does not lie in usable memory")
    }

    // Flat

    @Test("a flat binary that does not lie in memory is refused")
    func flat() {
        func failure(_ count: Int, _ address: UInt64, _ mode: FlatLoader.Mode = .protected) -> String? {
            self.failure(.flat(ImageFile(name: "flat", bytes: [UInt8](repeating: 0xF4, count: count)), address: address, mode: mode))
        }
        #expect(failure(0, 0x100000) == "flat: the file is empty")
        #expect(failure(16, 0x7C00) == nil)
        #expect(failure(16, 0x100000) == nil)
        #expect(failure(16, (16 << 20) - 16) == nil)
        #expect(failure(17, (16 << 20) - 16) == "flat: the image (17 bytes at 0xfffff0) does not lie in usable memory")
        #expect(failure(16, 0xA0000) == "flat: the image (16 bytes at 0xa0000) does not lie in usable memory")
        #expect(failure(16, .max) == "flat: the image (16 bytes at 0xffffffffffffffff) does not lie in usable memory")
        #expect(failure(16, 0x10000, .real) == "flat: an image entered in real mode starts below 64 KiB")
    }

    @Test("damaged images are refused or loaded, and never end the host process", arguments: ["linux", "elf", "elf64", "multiboot", "addresses"])
    func damaged(_ kind: String) {
        let good =
            switch kind {
            case "linux": BootImages.bzImage()
            case "elf": BootImages.elf()
            case "elf64": BootImages.elf64()
            case "multiboot": BootImages.multibootELF()
            default: BootImages.multibootByAddresses()
            }
        var random = SeededGenerator(seed: UInt64(kind.utf8.count))
        var refused = 0
        for round in 0..<400 {
            var bytes = good
            for _ in 0..<(1 + random.next() % 4) {
                // Most damage goes where the headers are.
                let limit = random.next() % 4 == 0 ? bytes.count : min(bytes.count, 0x290)
                bytes[Int(random.next() % UInt64(limit))] = random.next() % 2 == 0 ? 0xFF : UInt8(truncatingIfNeeded: random.next())
            }
            if round % 5 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
            let image = ImageFile(name: "image", bytes: bytes)
            let source: BootSource =
                kind == "linux" || kind.hasPrefix("elf")
                ? .kernel(image, initrd: nil, commandLine: "x") : .multiboot(image, modules: [], commandLine: "x")
            if failure(source, memory: 8 << 20) != nil { refused += 1 }
        }
        #expect(refused > 20)
    }
}
