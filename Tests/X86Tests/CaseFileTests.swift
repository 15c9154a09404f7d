import NativeOracle
import Testing

@Suite("Case rows as text")
struct CaseFileTests {
    @Test("a file is printed as it was read")
    func roundTrip() throws {
        let text = """
            # A comment

            mode 32
            [f7 f1] "div ecx" eax=1 => #DE
            16 [88 07] "mov [bx], al" bx=0x10 al=5 [0x10010]=ff => [0x10010]=05
            [89 03] "mov [ebx], eax" ebx=0x12000 => #PF(0x6) cr2=0x12000
            [90] "nop" => unchanged
            [d9 e8] "fld1" => fsw=0x3800 ftw=0x80 st0=0x3fff8000000000000000
            64 [0f 01 e0] "smsw eax" cr0=0x11 => eax=0x11 cites "SDM Vol. 2B, SMSW"
            [01 d8] eax=1 =>

            """
        let file = try CaseFile(path: "test.cases", text: text)
        #expect(file.description == text)
        #expect(file.rows.map(\.mode) == [.bits32, .bits16, .bits32, .bits32, .bits32, .bits64, .bits32])
        #expect(file.rows.last?.expectation == nil)
        #expect(file.rows[3].expectation?.changes.isEmpty == true)
    }

    @Test(
        "an error names file, line, column and what was expected",
        arguments: [
            ("[48 3] =>", 5, "expected a byte of two hexadecimal digits, found \"3\""),
            ("[48 31 ed", 1, "the bytes have no closing ]"),
            ("[] =>", 1, "an instruction has at least one byte"),
            ("nop", 1, "expected [bytes], or a mode: 64, 32 or 16"),
            ("mode 48", 6, "expected 64, 32 or 16"),
            ("[90] \"nop =>", 6, "the text has no closing quote"),
            ("[90] rax=1", 11, "expected => behind the inputs"),
            ("[90] rqx=1 =>", 6, "\"rqx\" is no register or flag of 64-bit code"),
            ("32 [90] rax=1 =>", 9, "\"rax\" is no register or flag of 32-bit code"),
            ("[90] al=0x100 =>", 9, "0x100 does not fit the 8 bits of al"),
            ("[90] al=-129 =>", 9, "-129 does not fit the 8 bits of al"),
            ("[90] rax=ten =>", 10, "expected a number, found \"ten\""),
            ("[90] cf=2 =>", 9, "a flag is 0 or 1"),
            ("[90] [0x10000]=123 =>", 16, "expected bytes, two hexadecimal digits each"),
            ("[90] => #XX", 9, "no exception is called #XX"),
            ("[90] => #GP", 12, "expected the error code of #GP in parentheses"),
            ("[90] => #DE #UD", 13, "there is one exception already"),
        ])
    func errors(_ line: String, column: Int, message: String) {
        #expect(throws: CaseSyntaxError(file: "bad.cases", line: 2, column: column, message: message)) {
            try CaseFile(path: "bad.cases", text: "# first line\n" + line)
        }
    }
}
