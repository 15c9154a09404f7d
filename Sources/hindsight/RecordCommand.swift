import ArgumentParser
import RecordReplay

/// `hindsight record`.
struct RecordCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "record",
        abstract: "Runs a machine and writes a trace of everything it cannot compute for itself.",
        discussion: """
            The guest's first serial port is on stdout, and what is typed or piped into stdin goes to it. On a terminal, \
            Ctrl-A x stops the machine and Ctrl-A Ctrl-A sends one Ctrl-A. Messages and progress are on stderr.

            The trace is written under the name with `.incomplete` added and renamed when it is whole. A recording that was \
            killed loses at most its last second of input; `replay` takes what is there.

            EXAMPLES
              hindsight record --kernel vmlinuz --initrd initrd.gz \\
                  --append console=ttyS0 --output boot.hst
              hindsight record --flat guest.bin@0x100000 --until 1.5s --json
              hindsight record --bios /usr/share/seabios/bios-256k.bin --until 2s

            INPUT SCRIPTS
              A line says when, then what. A time is one since power-on; +TIME is
              one since the line before; expect waits until the guest has sent a
              text. Texts take \\n \\r \\t \\e \\xHH \\\\ and \\".
                expect "login: "  send "root\\n"
                +200ms            keys ctrl-c
                60s               power-button
                90s               stop

            EXIT CODES
              0  the machine ran to an end, or to --until, or was stopped
              2  bad usage, unreadable input, or output that cannot be written
              3  the guest failed: triple fault, unimplemented instruction, or a
                 debug exit with a value other than 0; the trace is whole. With
                 --no-record it is 0, and the outcome is in the report
            """)

    @OptionGroup(title: "MACHINE") var machine: MachineOptions
    @OptionGroup(title: "RUN") var options: RunOptions

    @Option(name: .long, help: ArgumentHelp("Steps between two rungs, the records of state that a replay is checked against.", valueName: "steps"))
    var rungEvery = Number(Recording.Options().rungEvery)

    @Flag(name: .long, help: "Run the same without writing a trace.")
    var noRecord = false

    @Option(name: .long, help: ArgumentHelp("The trace to write; one of that name is replaced.", valueName: "run.hst"))
    var output = "run.hst"

    func validate() throws {
        guard rungEvery.value > 0 else { throw ValidationError("--rung-every takes at least one step.") }
        guard !output.isEmpty else { throw ValidationError("--output takes the name of a file.") }
    }

    func run() throws {
        try LiveRun(machine, options, rungEvery: rungEvery.value, output: noRecord ? nil : output).run()
    }
}

/// `hindsight run`.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Runs a machine without a trace, as `record --no-record` does.",
        discussion: """
            Console, input and scripts are those of `record`; see `hindsight help record`. However the guest ends, the exit \
            code is 0: what it was is in the report.
            """)

    @OptionGroup(title: "MACHINE") var machine: MachineOptions
    @OptionGroup(title: "RUN") var options: RunOptions

    func run() throws {
        try LiveRun(machine, options, rungEvery: Recording.Options().rungEvery, output: nil).run()
    }
}
