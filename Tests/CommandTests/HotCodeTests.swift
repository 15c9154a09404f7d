import Foundation
import Testing

/// The code that runs once a step, as the compiler made it.
@Suite("Hot code")
struct HotCodeTests {
    /// Calls that each function of X86 makes, by its mangled name; `*` is one through a pointer.
    private static let calls = Result { try findCalls(of: Command.path) }

    private static func findCalls(of binary: String) throws -> [String: [String]] {
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
            } else if function.hasPrefix("$s3X86") {
                let words = String(Substring(line)).split(whereSeparator: \.isWhitespace)
                guard words.count >= 3, words[1] == "call" else { continue }
                let target = words[2].hasPrefix("*") ? "*" : words.count == 3 ? words[2] : words[3].dropFirst().prefix { $0 != ">" && $0 != "@" }
                calls[function, default: []].append(String(target))
            }
        }
        return calls
    }

    @Test("No planted fault is asked for: all of them are gone from a build that users get")
    func plantedFaults() throws {
        let calls = try Self.calls.get()
        for (function, called) in calls where !function.contains("PlantedFault") {
            #expect(!called.contains { $0.contains("PlantedFault") }, "\(function)")
        }
    }

    private static let costly: Set = ["swift_retain", "swift_release", "swift_allocObject", "swift_beginAccess", "swift_once", "malloc"]
    /// Whatever the runtime does for memory, exclusivity, protocols and casts. A witness table that a `throw` names is asked for once.
    private static let anyCost: Set = costly.union([
        "swift_endAccess", "swift_slowAlloc", "swift_slowDealloc", "swift_unknownObjectRetain", "swift_unknownObjectRelease",
        "swift_bridgeObjectRetain", "swift_bridgeObjectRelease", "swift_conformsToProtocol", "swift_dynamicCast",
        "swift_getGenericMetadata", "swift_getAssociatedTypeWitness",
    ])

    @Test("no step allocates, retains or releases: neither the loop over instructions nor the handlers of integer instructions")
    func runtime() throws {
        let calls = try Self.calls.get()
        func costs(_ name: String) -> [String] { calls[name, default: []].filter { Self.costly.contains($0) } }

        // The loop retains guest memory once a run of blocks, outside the loop, and once where it decodes.
        let loops = calls.keys.filter { $0.contains("InterpreterC9runBlocks") }
        #expect(loops.count == 1, "the inner loop is one function: \(loops)")
        for loop in loops { #expect(costs(loop).count <= 4, "\(loop): \(costs(loop))") }

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

    /// What the translator runs between blocks, for a handler, and where an access finds no translation: a part of each function's
    /// mangled name, and how many calls through a pointer are its work. Some may be
    /// inlined into the others.
    private static let ofTranslator: [(name: String, mustExist: Bool, pointers: Int)] = [
        // Cold blocks are the interpreter's, instruction by instruction.
        ("10TranslatorC9runBlocks", true, 2),
        ("10TranslatorC5enter", false, 1),
        ("10TranslatorC11translation33", false, 0),
        ("10TranslatorC10secondPage", false, 0),
        ("10TranslatorC8complete", false, 0),
        ("16TranslationCacheV4find", false, 0),
        ("16TranslationCacheV4link", false, 0),
        ("16TranslationCacheV4note", false, 0),
        ("11InterpreterC5block4page", false, 0),
        ("11InterpreterC13translateCode", false, 0),
        ("executeSubstep", true, 1),
        ("CPUV13translatePage", true, 0),
        ("CPUV4fill", false, 0),
        ("CPUV10loadSlowly", true, 0),
        ("CPUV11storeSlowly", true, 0),
        ("CPUV13prepareModify", true, 0),
        ("CPUV16loadVectorSlowly", true, 0),
        ("CPUV17storeVectorSlowly", true, 0),
        ("CPUV13linearAddress", false, 0),
        ("PhysicalMemoryC9noteStore", true, 0),
    ]

    @Test("Neither the translator's loop, nor a handler's call from translated code, nor a TLB miss allocates, counts references, checks exclusivity or asks a witness table")
    func translator() throws {
        let calls = try Self.calls.get()
        for (name, mustExist, pointers) in Self.ofTranslator {
            // What stands under an exact function's name, its closures and thunks included.
            let functions = calls.keys.filter { $0.contains(name) }
            #expect(!mustExist || !functions.isEmpty, "there is a \(name)")
            for function in functions.sorted() {
                let called = calls[function, default: []]
                #expect(!called.contains { Self.anyCost.contains($0) || $0.hasSuffix("TW") }, "\(function): \(called)")
                #expect(called.count { $0 == "*" } <= pointers, "\(function): \(called)")
            }
        }
    }
}
