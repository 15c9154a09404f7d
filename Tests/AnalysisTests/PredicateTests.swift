import Analysis
import Testing
import VirtualPC
import X86

@Suite("Predicates")
struct PredicateTests {
    private static let symbols = Symbols([("jiffies", 0xC100_0000), ("al.cold", 0x10)], path: "map")

    /// Why a text is no predicate; nil where it is one.
    private static func refusal(of text: String) -> PredicateError? {
        do {
            _ = try Predicate(text)
            return nil
        } catch { return error }
    }

    /// Whether a predicate of numbers holds: it does at the first position of any run.
    private func holds(_ text: String, on guest: RecordedGuest) throws -> Bool {
        let answer = try Bisection(guest.trace, when: try Predicate(text, symbols: Self.symbols), to: Position(1), memoryLimit: 1 << 30).answer()
        return answer.finding?.position == .zero
    }

    @Test("C's precedence, 64 bits that wrap, and numbers as they are written")
    func arithmetic() throws {
        let guest = try RecordedGuest("echo", until: 2)
        for text in [
            "1", "!0", "1+2==3", "5-6==0xffff_ffff_ffff_ffff", "-1==~0", "1|2^3&1==(1|(2^(3&(1==1))))", "1<<63>>63==1", "1<<64==0",
            "2>1&&1<2||0", "0&&0||1", "!(1==2)", "0x7f==127", "1_000==1000", "1<2==1", "3-2-1==0", "jiffies==0xc1000000", "al.cold+6==22",
            "(((((1)))))", " 1\n&&\t1 ",
        ] {
            #expect(try holds(text, on: guest), "\(text)")
            #expect(try !holds("!(\(text))", on: guest), "not \(text)")
        }
    }

    @Test("registers, their parts, flags and mode at the first instruction of a flat guest")
    func registers() throws {
        let guest = try RecordedGuest("echo", until: 2)
        for text in [
            "rip==0x100000", "eip==rip && ip==0", "cpl==0", "mode==\"protected 32\"", "mode!=\"real\"", "cr0&1", "!if", "!zf", "ah==(eax>>8&0xff)",
            "al==(rax&0xff)", "cs.base==0", "events==0", "!halted", "position==0", "time==0", "mem8[0x100000]==0xe9", "phys8[rip]==0xe9",
            "chip.PIC.master.imr==chip.PIC.master.imr", "chip.\"UART COM1\".scr==chip.UART_COM1.scr",
        ] { #expect(try holds(text, on: guest), "\(text)") }
    }

    @Test("memory that is not there makes the comparison false, and only that")
    func unmapped() throws {
        let guest = try RecordedGuest("echo", until: 2)
        for text in [
            "!(mem32[0xd0000000]==0)", "!(mem32[0xd0000000]!=0)", "!mem8[0xd0000000]", "mem32[0xd0000000]==0 || 1", "!(mem8[0xd0000000]+1>0)",
            "!(phys64[0xa0000]==phys64[0xa0000])", "!(mem8[mem32[0xd0000000]]<256)",
        ] { #expect(try holds(text, on: guest), "\(text)") }
    }

    /// A text that is no predicate, how many characters into it the mistake is, and a part of the reason.
    private typealias Refused = (text: String, offset: Int, reason: String)

    private static let refused: [Refused] = [
        ("", 0, "is missing here"), ("1==", 3, "is missing here"), ("mem32[0x10==3", 13, "\"]\" is missing"), ("(1", 2, "\")\" is missing"),
        ("1=2", 1, "equality is written =="), ("rax==", 5, "is missing"), ("1 2", 2, "an operator or the end"), ("0x", 0, "is no number"),
        ("12ab", 0, "is no number"), ("0x1_0000_0000_0000_0000", 0, "does not fit"), ("eux==3", 0, "near it: eax"),
        ("console==3", 7, "is searched for a text"), ("console~3", 8, "a text in quotation marks"), ("console~\"", 8, "has no end"),
        ("console~\"\"", 8, "an empty text"), ("console~\"\\q\"", 9, "there are \\n"), ("mode==3", 6, "a mode is one of"),
        ("mode==\"fast\"", 6, "\"long 64\""), ("mode", 4, "mode is compared"), ("mem32", 5, "\"[\" and an address"), ("\"x\"", 0, "console~"),
        ("chip.PIC", 0, "chip.NAME.field"), ("chip.PIC.a[x]", 10, "index is written"), ("1 ? 2", 2, "no predicate has"),
    ]

    @Test("what does not parse is refused with its reason and a caret under the place")
    func refusals() throws {
        for (text, offset, reason) in Self.refused {
            let refusal = try #require(Self.refusal(of: text))
            let isRight: Bool = refusal.offset == offset && refusal.reason.contains(reason)
            #expect(isRight)
            let message: String = refusal.description
            let caret: String = "\n  " + String(repeating: " ", count: offset) + "^"
            let endsWithCaret: Bool = message.hasSuffix(caret)
            #expect(endsWithCaret)
        }
    }

    @Test("nesting has a limit, and no text crashes the parser")
    func nesting() throws {
        #expect(throws: PredicateError.self) { try Predicate(String(repeating: "(", count: 100_000)) }
        #expect(throws: PredicateError.self) { try Predicate(String(repeating: "!", count: 100_000) + "1") }
        let words = ["(", ")", "1", "rax", "mem8", "[", "]", "==", "!", "~", "console", "\"a\"", "&&", "-", "chip.PIC.x", "mode", "é", "\\", "0x"]
        var state: UInt64 = 1
        var parsed = 0
        for _ in 0..<3_000 {
            var text = ""
            for _ in 0..<6 {
                state = state &* 0x5851_F42D_4C95_7F2D &+ 1
                text += words[Int(state >> 33) % words.count]
            }
            if let refusal = Self.refusal(of: text) {
                #expect(refusal.offset <= text.count, "\(text)")
            } else {
                parsed += 1
            }
        }
        #expect(parsed > 0)
    }

    @Test("a chip or a field that the board has not is refused, with those that it has")
    func chips() throws {
        let guest = try RecordedGuest("echo", until: 2)
        func refusal(_ text: String) throws -> String {
            do {
                _ = try Bisection(guest.trace, when: try Predicate(text), memoryLimit: 1 << 30)
                return ""
            } catch { return "\(error)" }
        }
        #expect(try refusal("1 && chip.PIK.x").contains("there is no chip PIK; there are PIC, PIT"))
        #expect(try refusal("1 && chip.PIK.x").hasSuffix("\n       ^"))
        #expect(try refusal("chip.PIC.master.imx==1").contains("near it: master.imr"))
    }

    @Test("which predicates stay true is seen from their form")
    func latched() throws {
        for text in ["console~\"x\"", "events>=2", "2<events", "position>5 && console2~\"y\"", "time>=9 || events>1", "1"] {
            #expect(try Predicate(text).staysTrue, "\(text)")
        }
        for text in ["events==2", "!console~\"x\"", "position<5", "events<2 && console~\"x\"", "cpl==3", "events+1>=2", "rax>=1"] {
            #expect(try !Predicate(text).staysTrue, "\(text)")
        }
    }
}
