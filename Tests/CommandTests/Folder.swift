import Foundation
import Guests
import TestGuests

/// A folder for the files of one test, which goes with it.
final class Folder {
    let path: String
    private var count = 0

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("hindsight-command-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of a file in this folder.
    func file(_ name: String) -> String { "\(path)/\(name)" }

    /// The path of a file that no other has.
    func newFile(_ name: String) -> String {
        count += 1
        return file("\(name)-\(count)")
    }

    /// The names of what stands in the folder, but for what commands wrote to stderr.
    var names: [String] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return all.filter { !$0.hasPrefix("stderr-") }.sorted()
    }

    func has(_ name: String) -> Bool { names.contains(name) }

    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: file(name)))) }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
        return file(name)
    }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }

    /// Writes a shell script that can be executed; gives its path. A process of its own writes it: as long as a process that is just
    /// being started beside has the file open for writing, nobody can execute it.
    func script(_ name: String, _ lines: String) throws -> String {
        let writer = Process()
        writer.executableURL = URL(fileURLWithPath: "/bin/sh")
        writer.arguments = ["-c", #"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod +x "$0""#, file(name), lines]
        try writer.run()
        writer.waitUntilExit()
        return file(name)
    }

    func link(_ name: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: file(name), withDestinationPath: target)
    }
}

/// A guest for the command line.
enum Guest {
    /// One of our own, by name.
    static func named(_ name: String) throws -> [UInt8] {
        guard let guest = hs_guest_named(name) ?? hs_test_guest_named(name) else { throw NoGuest(name: name) }
        return [UInt8](UnsafeBufferPointer(start: guest.pointee.bytes, count: Int(guest.pointee.length)))
    }

    struct NoGuest: Error { let name: String }

    /// A benchmark kernel with so many rounds.
    static func bench(_ name: String, rounds: UInt32) throws -> [UInt8] {
        var bytes = try named(name)
        for byte in 0..<4 { bytes[Int(HS_GUEST_COUNT_OFFSET) + byte] = UInt8(truncatingIfNeeded: rounds >> (8 * UInt32(byte))) }
        return bytes
    }

    /// mov al, value; out 0F4H, al
    static func debugExit(_ value: UInt8) -> [UInt8] { [0xB0, value, 0xE6, 0xF4] }
    /// jmp itself
    static let loop: [UInt8] = [0xEB, 0xFE]
    /// cli; hlt
    static let halt: [UInt8] = [0xFA, 0xF4]
    /// mov al, 1; out 92H, al
    static let reset: [UInt8] = [0xB0, 0x01, 0xE6, 0x92]
    /// Sets IA32_DEBUGCTL.LBR.
    static let unimplemented: [UInt8] = [0xB9, 0xD9, 0x01, 0, 0, 0xB8, 0x01, 0, 0, 0, 0x31, 0xD2, 0x0F, 0x30]
}

extension Folder {
    /// Runs `hindsight`; words of the command line in one text, or as they are.
    func hindsight(_ arguments: String..., input: String = "", shell: String = "") throws -> Command.Result {
        let words = arguments.flatMap { $0.split(separator: " ").map(String.init) }
        return try Command.run(words, input: Array(input.utf8), in: self, shell: shell)
    }

    /// Records a guest in 4 MiB to `run.hst`, or where `options` say.
    @discardableResult
    func record(_ guest: [UInt8], _ options: String = "", input: String = "", shell: String = "") throws -> Command.Result {
        try write("guest", guest)
        return try hindsight("record --flat guest@0x100000 --memory 4M", "--output run.hst", options, input: input, shell: shell)
    }
}
