import Foundation
import Testing

/// The code that runs once a step, as the compiler made it.
@Suite("Hot code")
struct HotCodeTests {
    /// Calls of the runtime that a function makes, by the function's mangled name.
    private static func runtimeCalls(of binary: String) throws -> [String: [String]] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["objdump", "-d", "--no-show-raw-insn", binary]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        var calls: [String: [String]] = [:]
        var function = ""
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "objdump takes the command apart")
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            if line.last == UInt8(ascii: ":"), let name = line.split(separator: UInt8(ascii: " ")).last, name.first == UInt8(ascii: "<") {
                function = String(Substring(name).dropFirst().dropLast(2))
                if function.hasPrefix("$s3X86") { calls[function] = [] }
            } else if function.hasPrefix("$s3X86"), line.contains(UInt8(ascii: "<")) {
                let words = String(Substring(line)).split(whereSeparator: \.isWhitespace)
                guard words.count >= 4, words[1] == "call" else { continue }
                calls[function, default: []].append(String(words[3].dropFirst().prefix { $0 != ">" && $0 != "@" }))
            }
        }
        return calls
    }

    @Test("No planted fault is asked for: all of them are gone from a build that users get")
    func plantedFaults() throws {
        let calls = try Self.runtimeCalls(of: Command.path)
        for (function, called) in calls where !function.contains("PlantedFault") {
            #expect(!called.contains { $0.contains("PlantedFault") }, "\(function)")
        }
    }

    private static let costly = ["swift_retain", "swift_release", "swift_allocObject", "swift_beginAccess", "swift_once", "malloc"]

    @Test("no step allocates, retains or releases: neither the loop over instructions nor the handlers of integer instructions")
    func runtime() throws {
        let calls = try Self.runtimeCalls(of: Command.path)
        func costs(_ name: String) -> [String] { calls[name, default: []].filter { Self.costly.contains($0) } }

        // The loop retains guest memory once a run of blocks, outside the loop.
        let loops = calls.keys.filter { $0.contains("InterpreterC9runBlocks") }
        #expect(loops.count == 1, "the inner loop is one function: \(loops)")
        for loop in loops { #expect(costs(loop).count <= 2, "\(loop): \(costs(loop))") }

        // Handlers are closures in the rows of the instruction table.
        let groups = ["dataTransfer", "stack", "arithmetic", "logic", "shift", "bit", "controlTransfer", "string", "flagControl"]
        for group in groups {
            let handlers = calls.keys.filter { $0.hasPrefix("$s3X86\(group.utf8.count + 4)\(group)Rows") && $0.contains("fU") }
            #expect(handlers.count > 10, "handlers of \(group): \(handlers.count)")
            for handler in handlers.sorted() { #expect(costs(handler).isEmpty, "\(handler): \(costs(handler))") }
        }
        for name in ["loadSlowly", "storeSlowly", "prepareModify"] {
            let functions = calls.keys.filter { $0.contains(name) }
            #expect(!functions.isEmpty, "there is a \(name)")
            for function in functions { #expect(costs(function).isEmpty, "\(function): \(costs(function))") }
        }
    }
}
