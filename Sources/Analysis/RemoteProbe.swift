import Devices
import Foundation
import VirtualPC
import X86

/// A run of a trace in another build of hindsight: a process that serves it.
package final class RemoteProbe: RunProbe {
    /// The executable, or a script that starts it.
    package let path: String
    private let child: ChildProcess

    /// Starts `PATH serve OPTIONS -- TRACE` and waits until the run stands at its first position.
    /// - Parameters:
    ///   - options: of `hindsight serve`.
    ///   - silence: a build that says nothing for so long is given up, in milliseconds.
    package init(path: String, trace: String, options: [String] = [], silence: Int32 = 120_000) throws(DiffError) {
        self.path = path
        do throws(ChildProcess.Failure) {
            child = try ChildProcess(path, ["serve"] + options + ["--", trace], silence: silence)
            let line = try child.line()
            guard let hello = ServeProtocol.value(ServeProtocol.Hello.self, line) else {
                throw ChildProcess.Failure(
                    reason: "it is no build of hindsight that can be asked: it wrote \"\(line.prefix(100))\"" + child.quotedErrors())
            }
            guard hello.protocol == ServeProtocol.version else {
                throw ChildProcess.Failure(
                    reason: "it is hindsight \(hello.version) and speaks version \(hello.protocol) of the protocol between builds; "
                        + "this build speaks \(ServeProtocol.version)")
            }
        } catch { throw .build(path: path, reason: error.reason) }
        _ = try answer(\.standing)
    }

    package func startMove(to position: Position) throws(DiffError) { try send(ServeProtocol.Request(.move, position: position)) }

    package func finishMove(progress: (Position, VirtualTime) -> Void) throws(DiffError) -> Standing { try answer(\.standing) }

    package func keep(forgettingBefore limit: Position) throws(DiffError) {
        try send(ServeProtocol.Request(.keep, position: limit))
        _ = try answer()
    }

    package func rung() throws(DiffError) -> Rung {
        guard let rung = try ask(ServeProtocol.Request(.rung), \.rung).rung else { throw broken("a rung whose digests are none") }
        return rung
    }

    package func chipState(_ chip: String) throws(DiffError) -> [UInt8] {
        Array(try ask(ServeProtocol.Request(.chip, name: chip), \.bytes))
    }

    package func pageDigests(ofRange range: Int) throws(DiffError) -> [Digest] {
        let bytes = Array(try ask(ServeProtocol.Request(.pages, index: range), \.bytes))
        guard bytes.count % 16 == 0 else { throw broken("hashes of \(bytes.count) bytes") }
        func half(_ start: Int) -> UInt64 { bytes[start..<start + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
        return stride(from: 0, to: bytes.count, by: 16).map { Digest(high: half($0 + 8), low: half($0)) }
    }

    package func page(_ index: Int) throws(DiffError) -> [UInt8] { Array(try ask(ServeProtocol.Request(.page, index: index), \.bytes)) }

    package func nextInstruction() throws(DiffError) -> InstructionRecord {
        try ask(ServeProtocol.Request(.instruction), \.instruction).record
    }

    package func deliveredVector() throws(DiffError) -> UInt8? {
        try send(ServeProtocol.Request(.delivered))
        return try answer().vector
    }

    package func setRegisters(_ registers: [UInt8]) throws(DiffError) {
        try send(ServeProtocol.Request(.registers, bytes: registers))
        _ = try answer()
    }

    private func ask<Value>(
        _ request: ServeProtocol.Request, _ part: KeyPath<ServeProtocol.Answer, Value?>
    ) throws(DiffError) -> Value {
        try send(request)
        return try answer(part)
    }

    private func send(_ request: ServeProtocol.Request) throws(DiffError) {
        do throws(ChildProcess.Failure) {
            try child.send(ServeProtocol.line(request))
        } catch { throw .build(path: path, reason: error.reason) }
    }

    private func answer<Value>(_ part: KeyPath<ServeProtocol.Answer, Value?>) throws(DiffError) -> Value {
        guard let value = try answer()[keyPath: part] else { throw broken("an answer to another question") }
        return value
    }

    /// The next line that is more than progress.
    private func answer() throws(DiffError) -> ServeProtocol.Answer {
        while true {
            let line: String
            do throws(ChildProcess.Failure) { line = try child.line() } catch { throw .build(path: path, reason: error.reason) }
            guard let answer = ServeProtocol.value(ServeProtocol.Answer.self, line) else { throw broken("\"\(line.prefix(100))\"") }
            if let error = answer.error { throw .build(path: path, reason: error) }
            if answer.at == nil { return answer }
        }
    }

    private func broken(_ what: String) -> DiffError {
        .build(path: path, reason: "it answered with \(what)" + child.quotedErrors())
    }
}
