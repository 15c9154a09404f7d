import X86

extension EngineKnobs {
    /// The translator where each instruction is translated alone and at first sight, so that a run of single steps is translated, too.
    package static let translatedSingly = translator { $0.longestTranslation = 1 }

    /// The translator where blocks are translated at first sight.
    package static let translatedAtOnce = translator { _ in }

    /// The same with garbage in whatever is not in use, and nothing taken from the host that is undefined.
    package static let poisoned = translator { $0.poison = true }

    private static func translator(_ set: (inout EngineKnobs) -> Void) -> EngineKnobs {
        var knobs = EngineKnobs()
        knobs.engine = .translate
        knobs.translationThreshold = 0
        // Quickly made and often full.
        knobs.codeBytes = 1 << 20
        set(&knobs)
        return knobs
    }

    /// The engine of these knobs for a processor that was made with them.
    package func engine(of processor: Processor) throws -> any Engine {
        switch engine {
        case .interpret: Interpreter(processor)
        case .translate: try Translator(processor)
        }
    }
}
