import Foundation
import TraceFormat
import VirtualPC
import enum X86.EngineKind
import struct X86.EngineKnobs

extension MachineOptions {
    /// The machine that the options describe, loaded and ready to run.
    func makeMachine(engine: EngineKind) throws -> Machine {
        var manifest = Manifest(boot: Manifest.Boot(kind: ""))
        manifest.cpu = cpu
        manifest.memory = memory.bytes
        manifest.seed = seed.value
        if let rtc { manifest.rtc = rtc.seconds }
        manifest.build = Build.version
        let limit = HostMemory.available
        // Before any file is read against the size of memory.
        _ = try manifest.validated(memoryLimit: limit)
        let source = try bootSource()
        manifest.boot = source.manifestEntry
        manifest.rom = source.romBytes
        let machine = try Machine(manifest: manifest, knobs: EngineKnobs(engine: engine), memoryLimit: limit)
        try machine.load(source)
        return machine
    }

    private func bootSource() throws -> BootSource {
        if let kernel {
            return .kernel(try image(kernel), initrd: try initrd.map(image), commandLine: append ?? "")
        }
        if let multiboot {
            let modules = try module.map { BootSource.Module(file: try image($0)) }
            return .multiboot(try image(multiboot), modules: modules, commandLine: append ?? "")
        }
        if let bios { return .bios(try image(bios)) }
        guard let flat else { preconditionFailure("the options were validated") }
        return .flat(try image(flat.path), address: flat.address, mode: .protected)
    }

    private func image(_ path: String) throws -> ImageFile {
        ImageFile(name: (path as NSString).lastPathComponent, bytes: try Files.read(path, limit: memory.bytes))
    }
}
