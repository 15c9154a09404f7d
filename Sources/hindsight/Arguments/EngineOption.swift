import Analysis
import ArgumentParser
import VirtualPC
import enum X86.EngineKind
import struct X86.Position

/// What makes the steps of a command: one engine, or both.
enum EngineOption: String, CaseIterable, ExpressibleByArgument, Sendable {
    case translate, interpret
    /// Both, compared after each block.
    case lockstep

    /// The engine of the machine that a command makes itself. In lockstep it leads, and another follows it.
    var kind: EngineKind { self == .interpret ? .interpret : .translate }

    /// What runs in the machine's place; nil where it runs alone.
    func lockstep(_ machine: Machine, _ progress: @escaping (Position) -> Void = { _ in }) throws -> Lockstep? {
        self == .lockstep ? try Lockstep(machine, progress: progress) : nil
    }

    static let help = ArgumentHelp(
        "What makes the steps: the translator, the interpreter, or both in lockstep, compared after each block.", valueName: "engine")
}

extension EngineKind: ExpressibleByArgument {}
