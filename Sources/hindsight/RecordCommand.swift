import ArgumentParser

/// `hindsight record`.
struct RecordCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "record",
        abstract: "Runs a machine and writes a trace of everything it cannot compute for itself.",
        discussion: """
            The guest's first serial port is on stdout; what is typed or piped into stdin goes to it. On a terminal, Ctrl-A x \
            stops the machine and Ctrl-A Ctrl-A sends a Ctrl-A. The trace is written under the name with `.incomplete` added \
            and renamed when it is whole; a recording that was killed replays up to its last second.

            Example:  hindsight record --kernel vmlinuz --initrd initrd.gz --append console=ttyS0 --output run.hst
            """)

    @OptionGroup var machine: MachineOptions

    @Option(name: .long, help: ArgumentHelp("Steps between two rungs, the records of state that replays are checked against.", valueName: "steps"))
    var rungEvery: UInt64 = 250_000_000

    @Flag(name: .long, help: "Run the same without writing a trace.")
    var noRecord = false

    @Option(name: .long, help: ArgumentHelp("The trace to write.", valueName: "run.hst"))
    var output = "run.hst"

    func validate() throws {
        guard rungEvery > 0 else { throw ValidationError("--rung-every takes at least one step.") }
    }

    func run() throws {
        try LiveRun(machine, rungEvery: rungEvery, output: noRecord ? nil : output).run()
    }
}

/// `hindsight run`.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Runs a machine without a trace: `record --no-record`.")

    @OptionGroup var machine: MachineOptions

    func run() throws {
        try LiveRun(machine, rungEvery: 250_000_000, output: nil).run()
    }
}
