/// Lane arithmetic that several instruction groups share: what saturates, and what is wider than its lanes.
extension Vector {
    /// Where `mask` has ones `self`, else `other`.
    @inline(__always) func selected(by mask: Vector, else other: Vector) -> Vector { (self & mask) | (other & ~mask) }

    /// Signed sums of words, kept in range.
    @inline(__always) func addingSaturatedWords(_ other: Vector) -> Vector {
        let (a, b) = (signedWords, other.signedWords)
        let sum = a &+ b
        let overflow = Vector(bits: (~(a ^ b) & (a ^ sum)) &>> 15)
        return Vector(bits: (a &>> 15) ^ SIMD8(repeating: .max)).selected(by: overflow, else: Vector(bits: sum))
    }

    /// Signed differences of words, kept in range.
    @inline(__always) func subtractingSaturatedWords(_ other: Vector) -> Vector {
        let (a, b) = (signedWords, other.signedWords)
        let difference = a &- b
        let overflow = Vector(bits: ((a ^ b) & (a ^ difference)) &>> 15)
        return Vector(bits: (a &>> 15) ^ SIMD8(repeating: .max)).selected(by: overflow, else: Vector(bits: difference))
    }

    /// |a - b| of unsigned bytes.
    @inline(__always) func byteDistances(_ other: Vector) -> Vector {
        let (a, b) = (bytes, other.bytes)
        return Vector(bits: a &- b).selected(by: Vector(bits: a .> b), else: Vector(bits: b &- a))
    }

    /// The signed 32-bit products of the even and of the odd words.
    @inline(__always) func signedProducts(_ other: Vector) -> (even: SIMD4<Int32>, odd: SIMD4<Int32>) {
        let (a, b) = (signedDoublewords, other.signedDoublewords)
        return (((a &<< 16) &>> 16) &* ((b &<< 16) &>> 16), (a &>> 16) &* (b &>> 16))
    }

    /// The even words of both operands, those of `self` in the low half; the same of the odd ones.
    @inline(__always) func evenWords(_ other: Vector) -> Vector { Vector(bits: SIMD8(lowHalf: words.evenHalf, highHalf: other.words.evenHalf)) }
    @inline(__always) func oddWords(_ other: Vector) -> Vector { Vector(bits: SIMD8(lowHalf: words.oddHalf, highHalf: other.words.oddHalf)) }

    /// The even bytes of both operands.
    @inline(__always) func evenBytes(_ other: Vector) -> Vector { Vector(bits: SIMD16(lowHalf: bytes.evenHalf, highHalf: other.bytes.evenHalf)) }
}
