/// The operand widths of integer instructions: bytes, words, doublewords and quadwords.
protocol Width: FixedWidthInteger & UnsignedInteger where Magnitude == Self {
    associatedtype Signed: FixedWidthInteger & SignedInteger where Signed.Magnitude == Self
    init(truncatingIfNeeded signed: Signed)
}

extension UInt8: Width { typealias Signed = Int8 }
extension UInt16: Width { typealias Signed = Int16 }
extension UInt32: Width { typealias Signed = Int32 }
extension UInt64: Width { typealias Signed = Int64 }

extension Width {
    @inline(__always) static var byteCount: UInt64 { UInt64(MemoryLayout<Self>.size) }
    @inline(__always) static var bits: UInt64 { UInt64(Self.bitWidth) }
    @inline(__always) var signed: Signed { Signed(truncatingIfNeeded: self) }
    /// The most significant bit as 0 or 1.
    @inline(__always) var topBit: UInt64 { UInt64(truncatingIfNeeded: self &>> Self(truncatingIfNeeded: Self.bits &- 1)) }
}
