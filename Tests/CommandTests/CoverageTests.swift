import Testing

/// `bench --coverage`.
@Suite struct CoverageTests {
    @Test("every step is translated, a handler's or interpreted, and a handler's steps have an instruction, each iteration of a REP")
    func parts() throws {
        let folder = try Folder()
        // lea edi, [esi+20H]; mov ecx, 50; rep movsb; dec ebx; jnz: a thousand times
        let loop: [UInt8] = [0x8D, 0x7E, 0x20, 0xB9, 50, 0, 0, 0, 0xF3, 0xA4, 0x4B, 0x75, 0xF3]
        try folder.write("guest", [0xBE, 0, 0, 0x20, 0, 0xBB, 0xE8, 3, 0, 0] + loop + Guest.debugExit(0))
        _ = try Command.run(["record", "--flat", "guest@0x100000", "--memory", "4M", "--output", "run.hst"], in: folder)
        let covered = try Command.run(["bench", "--coverage", "run.hst", "--json"], in: folder)
        #expect(covered.code == 0, "\(covered.errors)")
        let object = try covered.json()
        let steps = try #require(object["steps"] as? Int)
        let translated = try #require(object["translated"] as? Double)
        let handler = try #require(object["handlerSteps"] as? Int)
        let interpreted = try #require(object["interpretedSteps"] as? Int)
        #expect(Int((translated * Double(steps)).rounded()) + handler + interpreted == steps)
        let rows = try #require(object["handled"] as? [[String: Any]])
        let handled = try rows.map { (try #require($0["instruction"] as? String), try #require($0["steps"] as? Int)) }
        #expect(handled.map(\.1).reduce(0, +) == handler)
        // Some thirty rounds pass before the loop is translated.
        let movsb = try #require(handled.first { $0.0 == "movsb" })
        #expect(movsb.1 > 50 * 900 && movsb.1 <= 50 * 1000, "\(handled)")
    }

    @Test("a trace that is not there is bad input")
    func missing() throws {
        let result = try Command.run(["bench", "--coverage", "none.hst"], in: try Folder())
        #expect(result.code == 2 && result.errors.contains("none.hst"), "\(result.errors)")
    }
}
