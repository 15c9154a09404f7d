import X86

/// x87 and SSE state as FXSAVE64 lays it out (Intel SDM Vol. 1 10.5.1): without selectors.
extension FloatingPointState {
    init(fxImage image: [UInt8]) {
        self.init()
        func load(_ offset: Int, _ count: Int) -> UInt64 {
            image[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        control = UInt16(load(0, 2))
        status = UInt16(load(2, 2))
        let top = Int(status >> 11 & 7)
        tag = 0
        for physical in 0..<8 {
            let offset = 32 + 16 * ((physical - top) & 7)
            let register = Register(significand: load(offset, 8), signExponent: UInt16(load(offset + 8, 2)))
            registers[physical] = register
            let isValid = image[4] >> UInt8(physical) & 1 != 0
            tag |= (isValid ? register.tag : 3) << UInt16(2 * physical)
        }
        opcode = UInt16(load(6, 2))
        instructionPointer = load(8, 8)
        dataPointer = load(16, 8)
        mxcsr = UInt32(load(24, 4))
        for index in 0..<32 { xmm[index] = load(160 + 8 * index, 8) }
    }

    var fxImage: [UInt8] {
        var image = [UInt8](repeating: 0, count: 512)
        func store(_ offset: Int, _ value: UInt64, _ count: Int) {
            for index in 0..<count { image[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index))) }
        }
        store(0, UInt64(control), 2)
        store(2, UInt64(status), 2)
        let top = Int(status >> 11 & 7)
        for physical in 0..<8 {
            if tag >> UInt16(2 * physical) & 3 != 3 { image[4] |= 1 << UInt8(physical) }
            let offset = 32 + 16 * ((physical - top) & 7)
            store(offset, registers[physical].significand, 8)
            store(offset + 8, UInt64(registers[physical].signExponent), 2)
        }
        store(6, UInt64(opcode), 2)
        store(8, instructionPointer, 8)
        store(16, dataPointer, 8)
        store(24, UInt64(mxcsr), 4)
        for index in 0..<32 { store(160 + 8 * index, xmm[index], 8) }
        return image
    }
}

extension FloatingPointState.Register {
    /// 0 valid, 1 zero, 2 special (Intel SDM Vol. 1 8.1.7).
    fileprivate var tag: UInt16 {
        let exponent = signExponent & 0x7fff
        if exponent == 0 && significand == 0 { return 1 }
        return exponent == 0 || exponent == 0x7fff || significand >> 63 == 0 ? 2 : 0
    }
}
