import Glibc

/// Runs this program again and again in processes of their own, so many at once, and gives what became of each.
struct ProcessPool {
    /// How a process ended.
    enum Ending: Equatable {
        case exit(Int32)
        case signal(Int32)
        /// It was ended because it had taken longer than allowed.
        case timeout
    }

    /// A process that has ended: how, what it wrote to stdout and stderr in the order of writing, and how long it took.
    struct Ended {
        let ending: Ending
        let output: String
        let seconds: Double
    }

    /// No process can be started.
    struct StartError: Error, CustomStringConvertible {
        let call: String
        let code: Int32
        var description: String { "cannot start a process: \(call): \(String(cString: strerror(code)))" }
    }

    let jobs: Int
    /// Seconds that a process may take; nil for as long as it likes.
    let timeout: Double?

    /// A process that runs.
    private struct Running {
        let index: Int
        let pid: pid_t
        let pipe: Int32
        let stopwatch = Stopwatch()
        var output: [UInt8] = []
        var isOverdue = false
    }

    /// Runs a process for each list of arguments, in their order.
    /// - Parameters:
    ///   - tick: called a few times a second.
    ///   - finished: called with the index of each list, in the order in which they end.
    func run(_ arguments: [[String]], tick: () -> Void, finished: (Int, Ended) throws -> Void) throws {
        var running: [Running] = []
        defer {
            for child in running {
                kill(child.pid, SIGKILL)
                close(child.pipe)
                _ = Self.wait(child.pid)
            }
        }
        var next = 0
        while next < arguments.count || !running.isEmpty {
            while next < arguments.count, running.count < jobs {
                running.append(try Self.start(arguments[next], index: next))
                next += 1
            }
            var polls = running.map { pollfd(fd: $0.pipe, events: Int16(POLLIN), revents: 0) }
            poll(&polls, nfds_t(polls.count), 200)
            for slot in running.indices.reversed() {
                if let timeout, !running[slot].isOverdue, running[slot].stopwatch.seconds > timeout {
                    running[slot].isOverdue = true
                    kill(running[slot].pid, SIGKILL)
                }
                guard polls[slot].revents != 0, Self.receive(&running[slot]) else { continue }
                let child = running.remove(at: slot)
                close(child.pipe)
                let ending = Self.wait(child.pid)
                let text = String(decoding: child.output, as: UTF8.self)
                try finished(
                    child.index, Ended(ending: child.isOverdue ? .timeout : ending, output: text, seconds: child.stopwatch.seconds))
            }
            tick()
        }
    }

    /// Reads what is there; true at the end of all output.
    private static func receive(_ child: inout Running) -> Bool {
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(child.pipe, &piece, piece.count)
        if count > 0 { child.output += piece[..<count] }
        return count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)
    }

    private static func wait(_ pid: pid_t) -> Ending {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        return status & 0x7F == 0 ? .exit(status >> 8 & 0xFF) : .signal(status & 0x7F)
    }

    private static func start(_ arguments: [String], index: Int) throws(StartError) -> Running {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw StartError(call: "pipe", code: errno) }
        // No other child inherits an end, so that the end of the output is the end of this one.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO)
        var words: [UnsafeMutablePointer<CChar>?] = (["hindsight"] + arguments).map { strdup($0) } + [nil]
        defer { words.forEach { free($0) } }
        var pid: pid_t = 0
        // The program that runs, also where its file has been replaced since.
        let status = posix_spawn(&pid, "/proc/self/exe", &actions, nil, &words, environ)
        close(ends[1])
        guard status == 0 else {
            close(ends[0])
            throw StartError(call: "posix_spawn", code: status)
        }
        return Running(index: index, pid: pid, pipe: ends[0])
    }
}
