import Foundation

/// That programs and kernels do what they do on a real processor, and do it again.
extension Proof {
    static func workloads(_ guest: Lab.Guest) -> Proof {
        Proof(
            name: "workloads-\(guest)",
            claim: "what all workloads print on \(guest) is what the same programs print on a real processor, and replays"
        ) { lab in
            let trace = lab.file("workloads-\(guest).hst")
            let recorded = try lab.run(["record"] + lab.plain("all", guest) + ["--output", trace])
            try Lab.require(recorded.status == 0, "record ended with exit code \(recorded.status): \(recorded.errors)")
            let expected = try String(contentsOfFile: "Tests/soak/expected-\(guest).txt", encoding: .utf8)
            let printed = lines(recorded.output).drop { $0 != "@@UP" }.dropFirst().prefix { $0 != "@@OFF" }
            for (number, (line, should)) in zip(printed, expected.split(separator: "\n").map(String.init)).enumerated() {
                try Lab.require(line == should, "line \(number + 1) of the workloads is '\(line)' instead of '\(should)'")
            }
            try Lab.require(printed.count == expected.split(separator: "\n").count, "\(printed.count) lines printed")
            let replayed = try lab.run(["replay", trace])
            try Lab.require(replayed.status == 0, "the replay ended with exit code \(replayed.status): \(replayed.errors)")
            try Lab.require(replayed.output == recorded.output, "the replay's console differs from the recording's")
            let information = try lab.information(trace)
            return "\(information.position) steps, digest \(information.digest)"
        }
    }

    static func loaded(_ guest: Lab.Guest) -> Proof {
        Proof(
            name: "loaded-\(guest)", claim: "ten replays of some workloads, five of them with both cores loaded, are identical"
        ) { lab in
            let trace = lab.file("loaded.hst")
            let recorded = try lab.report(["record"] + lab.plain("boot,hash,float,calls,processes", guest) + ["--output", trace])
            try tenReplays(lab, trace, recorded)
            return "\(recorded.position) steps each"
        }
    }

    static let kernels = Proof(
        name: "kernels", claim: "Debian's other kernels boot, and the plain ones on every model that they support"
    ) { lab in
        let runs: [(guest: Lab.Guest, kernel: String, cpu: String)] = [
            (.i386, "vmlinuz", "x86-64-v1"), (.i386, "vmlinuz", "x86-64-v2"), (.i386, "vmlinuz-more", "i686"),
            (.i386, "vmlinuz-more", "x86-64-v2"), (.amd64, "vmlinuz", "x86-64-v1"), (.amd64, "vmlinuz-more", "x86-64-v2"),
        ]
        for run in runs {
            let what = "\(run.guest) \(run.kernel) on \(run.cpu)"
            let trace = lab.file("kernel.hst")
            let finished = try lab.run(["record"] + lab.plain("boot", run.guest, kernel: run.kernel, cpu: run.cpu) + ["--output", trace])
            try Lab.require(finished.status == 0, "\(what): exit code \(finished.status): \(finished.errors)")
            try Lab.require(lines(finished.output).contains("@@OFF"), "\(what): no @@OFF on the console")
            let information = try lab.information(trace)
            try Lab.require(information.outcome == "powerOff", "\(what) ended with \(information.outcome)")
            let replayed = try lab.report(["replay", trace])
            try Lab.require(replayed.result == "identical" && replayed.digest == information.digest, "\(what): \(replayed.result ?? "?")")
        }
        return "\(runs.count) boots"
    }

    /// The lines of a console, as a terminal shows them.
    static func lines(_ console: Data) -> [String] {
        String(decoding: console, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init)
    }
}
