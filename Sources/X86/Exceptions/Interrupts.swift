extension CPU {
    /// Enters an event's handler through the IDT or the real-mode vector table.
    func enter(_ event: Event) throws(Fault) {
        throw .doubleFault
    }
}
