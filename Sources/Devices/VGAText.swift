import X86

/// IBM VGA as far as text consoles need it: its memory as plain bytes and its registers as state. It draws nothing.
///
/// Offsets: 0-2FH the ports 3B0H-3DFH, 10000H-2FFFFH the memory at A0000H-BFFFFH. Starts in mode 3 (80 x 25 text).
package final class VGAText: RegisterDevice {
    package static let memoryOffset: UInt64 = 0x10000
    package static let memorySize = 0x20000

    /// Offsets from 3B0H; the controller's ports lie at 3BxH or 3DxH as the miscellaneous output register selects.
    enum Register {
        static let attribute: UInt64 = 0x10
        static let attributeRead: UInt64 = 0x11
        static let miscellaneousWrite: UInt64 = 0x12
        static let enable: UInt64 = 0x13
        static let sequencerIndex: UInt64 = 0x14
        static let sequencer: UInt64 = 0x15
        static let dacMask: UInt64 = 0x16
        static let dacRead: UInt64 = 0x17
        static let dacWrite: UInt64 = 0x18
        static let dacData: UInt64 = 0x19
        static let featureRead: UInt64 = 0x1A
        static let miscellaneousRead: UInt64 = 0x1C
        static let graphicsIndex: UInt64 = 0x1E
        static let graphics: UInt64 = 0x1F
        static let crtcIndex: UInt64 = 0x24
        static let crtc: UInt64 = 0x25
        static let inputStatus1: UInt64 = 0x2A
        /// From a port at 3DxH down to its twin at 3BxH.
        static let monochrome: UInt64 = 0x20
    }

    /// The picture of 720 x 400 at 70 Hz: 449 lines at 31.469 kHz, of which 400 show.
    enum Raster {
        static let line: UInt64 = 31_777
        static let shown: UInt64 = 25_422
        static let lines: UInt64 = 449
        static let shownLines: UInt64 = 400
        static let retrace: Range<UInt64> = 412..<414
    }

    enum InputStatus1 {
        static let displayDisabled: UInt8 = 0x01
        static let verticalRetrace: UInt8 = 0x08
    }

    package struct State: Fields, Equatable {
        var memory = [UInt8](repeating: 0, count: VGAText.memorySize)
        var crtcIndex: UInt8 = 0
        var crtc: [UInt8] = [
            0x5F, 0x4F, 0x50, 0x82, 0x55, 0x81, 0xBF, 0x1F, 0x00, 0x4F, 0x0D, 0x0E, 0x00, 0x00, 0x00, 0x00,
            0x9C, 0x8E, 0x8F, 0x28, 0x1F, 0x96, 0xB9, 0xA3, 0xFF,
        ]
        var sequencerIndex: UInt8 = 0
        var sequencer: [UInt8] = [0x03, 0x00, 0x03, 0x00, 0x02]
        var graphicsIndex: UInt8 = 0
        var graphics: [UInt8] = [0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0E, 0x00, 0xFF]
        var attributeIndex: UInt8 = 0x20
        /// The next write to 3C0H is data, not an index.
        var attributeTakesData = false
        var attribute: [UInt8] = [
            0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F,
            0x0C, 0x00, 0x0F, 0x08, 0x00,
        ]
        var miscellaneous: UInt8 = 0x67
        var feature: UInt8 = 0
        var enable: UInt8 = 1
        var dacMask: UInt8 = 0xFF
        /// The next byte of the palette, and whether it was set for reading.
        var dacPosition: UInt16 = 0
        var dacReads = false
        var palette = [UInt8](repeating: 0, count: 768)

        package init() {}

        package mutating func fields(_ visitor: inout some FieldVisitor) {
            visitor.block("memory", &memory)
            visitor.integer("crtcIndex", &crtcIndex)
            visitor.block("crtc", &crtc)
            visitor.integer("sequencerIndex", &sequencerIndex)
            visitor.block("sequencer", &sequencer)
            visitor.integer("graphicsIndex", &graphicsIndex)
            visitor.block("graphics", &graphics)
            visitor.integer("attributeIndex", &attributeIndex)
            visitor.bool("attributeTakesData", &attributeTakesData)
            visitor.block("attribute", &attribute)
            visitor.integer("miscellaneous", &miscellaneous)
            visitor.integer("feature", &feature)
            visitor.integer("enable", &enable)
            visitor.integer("dacMask", &dacMask)
            visitor.integer("dacPosition", &dacPosition)
            visitor.bool("dacReads", &dacReads)
            visitor.block("palette", &palette)
            dacPosition %= UInt16(palette.count)
        }
    }

    package let name = "VGA"
    package let splitsAccesses = false
    package private(set) var state = State()

    package init() {}

    package func fields(_ visitor: inout some FieldVisitor) { state.fields(&visitor) }

    package func read(_ offset: UInt64, width: Int, now: VirtualTime) -> UInt64 {
        var value: UInt64 = 0
        for byte in 0..<UInt64(width) { value |= UInt64(readByte(offset &+ byte, now)) << (8 * byte) }
        return value
    }

    package func write(_ offset: UInt64, width: Int, value: UInt64, now: VirtualTime) {
        for byte in 0..<UInt64(width) { writeByte(offset &+ byte, UInt8(truncatingIfNeeded: value >> (8 * byte))) }
    }

    private func memoryIndex(_ offset: UInt64) -> Int? {
        let index = offset &- Self.memoryOffset
        return index < UInt64(Self.memorySize) ? Int(index) : nil
    }

    /// Offsets of the controller's ports in the half that answers, nil in the other.
    private func selected(_ offset: UInt64) -> UInt64? {
        let isColour = state.miscellaneous & 1 != 0
        switch offset {
        case ..<0x10: return isColour ? nil : offset + Register.monochrome
        case 0x20..<0x30: return isColour ? offset : nil
        default: return offset
        }
    }

    private func readByte(_ offset: UInt64, _ now: VirtualTime) -> UInt8 {
        if let index = memoryIndex(offset) { return state.memory[index] }
        switch selected(offset) {
        case Register.attribute: return state.attributeIndex
        case Register.attributeRead: return Self.byte(state.attribute, state.attributeIndex & 0x1F)
        // Input status 0: no interrupt pending, a colour monitor.
        case Register.miscellaneousWrite: return 0x10
        case Register.enable: return state.enable
        case Register.sequencerIndex: return state.sequencerIndex
        case Register.sequencer: return Self.byte(state.sequencer, state.sequencerIndex)
        case Register.dacMask: return state.dacMask
        case Register.dacRead: return state.dacReads ? 3 : 0
        case Register.dacWrite: return UInt8(truncatingIfNeeded: state.dacPosition / 3)
        case Register.dacData: return nextDAC { state.palette[$0] }
        case Register.featureRead: return state.feature
        case Register.miscellaneousRead: return state.miscellaneous
        case Register.graphicsIndex: return state.graphicsIndex
        case Register.graphics: return Self.byte(state.graphics, state.graphicsIndex)
        case Register.crtcIndex: return state.crtcIndex
        case Register.crtc: return Self.byte(state.crtc, state.crtcIndex)
        case Register.inputStatus1:
            state.attributeTakesData = false
            return Self.inputStatus1(now)
        default: return 0xFF
        }
    }

    private static func byte(_ registers: [UInt8], _ index: UInt8) -> UInt8 {
        Int(index) < registers.count ? registers[Int(index)] : 0
    }

    private static func inputStatus1(_ now: VirtualTime) -> UInt8 {
        let (lines, dot) = now.nanoseconds.quotientAndRemainder(dividingBy: Raster.line)
        let line = lines % Raster.lines
        var status: UInt8 = 0
        if line >= Raster.shownLines || dot >= Raster.shown { status |= InputStatus1.displayDisabled }
        if Raster.retrace.contains(line) { status |= InputStatus1.verticalRetrace }
        return status
    }

    private func nextDAC<Result>(_ access: (Int) -> Result) -> Result {
        let position = Int(state.dacPosition)
        state.dacPosition = UInt16((position + 1) % state.palette.count)
        return access(position)
    }

    private func writeByte(_ offset: UInt64, _ value: UInt8) {
        if let index = memoryIndex(offset) { return state.memory[index] = value }
        switch selected(offset) {
        case Register.attribute: writeAttribute(value)
        case Register.miscellaneousWrite: state.miscellaneous = value
        case Register.enable: state.enable = value & 1
        case Register.sequencerIndex: state.sequencerIndex = value & 0x07
        case Register.sequencer: Self.set(&state.sequencer, state.sequencerIndex, value)
        case Register.dacMask: state.dacMask = value
        case Register.dacRead, Register.dacWrite:
            state.dacReads = offset == Register.dacRead
            state.dacPosition = UInt16(value) * 3
        case Register.dacData: nextDAC { state.palette[$0] = value & 0x3F }
        case Register.graphicsIndex: state.graphicsIndex = value & 0x0F
        case Register.graphics: Self.set(&state.graphics, state.graphicsIndex, value)
        case Register.crtcIndex: state.crtcIndex = value & 0x1F
        case Register.crtc: writeCRTC(value)
        // The feature control register is written where input status 1 is read.
        case Register.inputStatus1: state.feature = value
        default: break
        }
    }

    private static func set(_ registers: inout [UInt8], _ index: UInt8, _ value: UInt8) {
        if Int(index) < registers.count { registers[Int(index)] = value }
    }

    private func writeAttribute(_ value: UInt8) {
        if state.attributeTakesData {
            Self.set(&state.attribute, state.attributeIndex & 0x1F, value)
        } else {
            state.attributeIndex = value & 0x3F
        }
        state.attributeTakesData.toggle()
    }

    private func writeCRTC(_ value: UInt8) {
        let index = state.crtcIndex
        // Bit 7 of register 11H protects registers 0 to 7, but for the line compare bit in 7.
        if state.crtc[0x11] & 0x80 != 0 && index <= 7 {
            if index == 7 { state.crtc[7] = state.crtc[7] & ~0x10 | value & 0x10 }
            return
        }
        Self.set(&state.crtc, index, value)
    }
}
