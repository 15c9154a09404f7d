/// That both engines are one.
extension Proof {
    static func lockstep(_ guest: Lab.Guest) -> Proof {
        Proof(
            name: "lockstep-\(guest)",
            claim: "both engines go through all workloads on \(guest) in step: the processor behind each block, all of the machine every 2^18 steps"
        ) { lab in
            let both = try lab.report(["run", "--engine", "lockstep"] + lab.plain("all", guest))
            let trace = lab.file("lockstep-\(guest).hst")
            let alone = try lab.report(["record", "--engine", "translate"] + lab.plain("all", guest) + ["--output", trace])
            try Lab.require(alone.digest == both.digest, "the translator alone ends with digest \(alone.digest), in lockstep with \(both.digest)")
            let replayed = try lab.report(["replay", "--engine", "interpret", trace])
            try Lab.require(replayed.result == "identical", "the interpreter's replay is \(replayed.result ?? "?")")
            return "\(both.position) steps, digest \(both.digest)"
        }
    }
}
