import Foundation
import VirtualPC
import X86

/// Answers another process about a trace's run: the serving side of `ServeProtocol`.
package struct TraceServer {
    private let write: (String) throws -> Void

    /// Says hello, before anything can fail.
    /// - Parameters:
    ///   - version: of this build.
    ///   - write: takes a line without its end.
    package init(version: String, write: @escaping (String) throws -> Void) throws {
        self.write = write
        let hello = ServeProtocol.Hello(
            protocol: ServeProtocol.version, version: version, machines: Manifest.supportedMachines, decoder: X86.Decoder.version)
        try write(ServeProtocol.line(hello))
    }

    /// Answers the first question, whether there is a run to ask, with no.
    package func refuse(_ error: any Error) throws {
        var answer = ServeProtocol.Answer()
        answer.error = "\(error)"
        try write(ServeProtocol.line(answer))
    }

    /// Answers until there are no more lines.
    package func serve(_ run: TraceRun, symbols: Symbols?, readLine: () -> String?) throws {
        let probe = LocalProbe(run, symbols: symbols)
        var ready = ServeProtocol.Answer()
        ready.standing = Standing(position: run.position)
        try write(ServeProtocol.line(ready))
        while let line = readLine() {
            guard let request = ServeProtocol.value(ServeProtocol.Request.self, line) else {
                try refuse(BadRequest(line: line))
                continue
            }
            let answer: ServeProtocol.Answer
            do {
                answer = try self.answer(request, line, probe)
            } catch {
                try refuse(error)
                continue
            }
            try write(ServeProtocol.line(answer))
        }
    }

    private struct BadRequest: Error, CustomStringConvertible {
        let line: String
        var description: String { "this is no question: \(line.prefix(200))" }
    }

    private func answer(_ request: ServeProtocol.Request, _ line: String, _ probe: LocalProbe) throws -> ServeProtocol.Answer {
        func needed<Value>(_ value: Value?) throws(BadRequest) -> Value {
            guard let value else { throw BadRequest(line: line) }
            return value
        }
        var answer = ServeProtocol.Answer()
        switch request.verb {
        case .move:
            probe.startMove(to: Position(try needed(request.position)))
            answer.standing = try probe.finishMove { at, _ in
                var progress = ServeProtocol.Answer()
                progress.at = at.rawValue
                // Who does not read any more is told by the answer.
                try? write(ServeProtocol.line(progress))
            }
        case .keep: probe.keep(forgettingBefore: Position(try needed(request.position)))
        case .rung: answer.rung = ServeProtocol.RungLine(probe.rung())
        case .chip: answer.bytes = Data(probe.chipState(try needed(request.name)))
        case .pages:
            var bytes: [UInt8] = []
            for digest in probe.pageDigests(ofRange: try needed(request.index)) { digest.append(to: &bytes) }
            answer.bytes = Data(bytes)
        case .page: answer.bytes = Data(probe.page(try needed(request.index)))
        case .instruction: answer.instruction = ServeProtocol.InstructionLine(probe.nextInstruction())
        case .delivered: answer.vector = probe.deliveredVector()
        case .registers: try probe.setRegisters(Array(try needed(request.bytes)))
        }
        return answer
    }
}
