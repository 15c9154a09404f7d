import Foundation
import RecordReplay

/// Turns SIGINT, SIGTERM and SIGHUP into a requested stop, so that a recording is closed and not lost. A reader of the
/// console that goes away (SIGPIPE) ends no recording by force either: writing fails instead.
final class StopSignals {
    private var sources: [any DispatchSourceSignal] = []

    init(_ stop: StopRequest) {
        signal(SIGPIPE, SIG_IGN)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { stop.request() }
            source.resume()
            sources.append(source)
        }
    }

    func restore() {
        for source in sources { source.cancel() }
        sources = []
        for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_DFL) }
    }
}
