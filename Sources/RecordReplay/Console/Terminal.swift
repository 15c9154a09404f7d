import Glibc

/// A terminal whose keys go to the guest one by one (termios(3)), for as long as the value lives.
///
/// Output processing stays on, so that messages between the guest's lines begin at the left.
package final class Terminal {
    private let descriptor: Int32
    private var saved: termios

    /// Nil where the descriptor is no terminal.
    package init?(descriptor: Int32 = STDIN_FILENO) throws(RecordReplayError) {
        guard isatty(descriptor) == 1 else { return nil }
        self.descriptor = descriptor
        saved = termios()
        guard tcgetattr(descriptor, &saved) == 0 else { throw .terminal(reason: String(cString: strerror(errno))) }
        var raw = saved
        cfmakeraw(&raw)
        raw.c_oflag |= tcflag_t(OPOST | ONLCR)
        guard tcsetattr(descriptor, TCSANOW, &raw) == 0 else { throw .terminal(reason: String(cString: strerror(errno))) }
    }

    /// Gives the terminal back as it was. Safe to call more than once.
    package func restore() { tcsetattr(descriptor, TCSADRAIN, &saved) }

    deinit { restore() }
}
