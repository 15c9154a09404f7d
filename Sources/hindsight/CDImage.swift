import Foundation

/// A CD image that boots a Linux kernel through isolinux, for monitors that have no loader of their own.
struct CDImage {
    private static let loader = "/usr/lib/ISOLINUX/isolinux.bin"
    private static let library = "/usr/lib/syslinux/modules/bios/ldlinux.c32"
    private static let maker = "/usr/bin/xorriso"

    /// Whether Debian's packages isolinux, syslinux-common and xorriso are there.
    static var canBeMade: Bool { [loader, library, maker].allSatisfy { FileManager.default.fileExists(atPath: $0) } }

    private let linux: Rival.Linux

    init(_ linux: Rival.Linux) { self.linux = linux }

    func write(to image: URL, scratch: URL) throws {
        let root = scratch.appendingPathComponent("cd")
        let boot = root.appendingPathComponent("isolinux")
        let files = FileManager.default
        try files.createDirectory(at: boot, withIntermediateDirectories: true)
        try files.copyItem(atPath: linux.kernel, toPath: root.appendingPathComponent("vmlinuz").path)
        try files.copyItem(atPath: linux.initrd, toPath: root.appendingPathComponent("initrd.gz").path)
        for file in [Self.loader, Self.library] {
            let target = boot.appendingPathComponent(URL(fileURLWithPath: file).lastPathComponent)
            try files.copyItem(atPath: file, toPath: target.path)
        }
        try """
        default linux
        prompt 0
        timeout 1
        label linux
          kernel /vmlinuz
          append initrd=/initrd.gz \(linux.commandLine)

        """.write(to: boot.appendingPathComponent("isolinux.cfg"), atomically: true, encoding: .utf8)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.maker)
        process.arguments = [
            "-as", "mkisofs", "-quiet", "-o", image.path, "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot",
            "-boot-load-size", "4", "-boot-info-table", root.path,
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(status: process.terminationStatus) }
    }

    struct Failure: Error, CustomStringConvertible {
        let status: Int32
        var description: String { "xorriso ended with exit code \(status)" }
    }
}
