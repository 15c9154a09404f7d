/// The setup header of a Linux kernel: bytes 1F1H and on of a bzImage and of the boot parameters
/// (Documentation/arch/x86/boot.rst, "The real-mode kernel header").
struct SetupHeader {
    /// Fields that are read or set here, at their offsets.
    enum Field: Int {
        case setupSectors = 0x1F1
        case videoMode = 0x1FA
        case bootFlag = 0x1FE
        case jumpLength = 0x201
        case signature = 0x202
        case version = 0x206
        case typeOfLoader = 0x210
        case loadFlags = 0x211
        case code32Start = 0x214
        case ramdiskImage = 0x218
        case ramdiskSize = 0x21C
        case commandLinePointer = 0x228
        case initrdAddressMax = 0x22C
        case kernelAlignment = 0x230
        case commandLineSize = 0x238
        case setupData = 0x250
        case preferredAddress = 0x258
        case initSize = 0x260
    }

    /// Protocol versions from which on fields exist.
    enum Version {
        /// `commandLinePointer`; older kernels are not booted.
        static let oldest: UInt16 = 0x0202
        static let initrdAddressMax: UInt16 = 0x0203
        static let commandLineSize: UInt16 = 0x0206
        static let setupData: UInt16 = 0x0209
        static let initSize: UInt16 = 0x020A
        static let made: UInt16 = 0x020C
    }

    static let start = 0x1F1
    /// Where the header ends at the latest: the boot parameters go on there.
    static let latestEnd = 0x290
    static let bootFlag: UInt16 = 0xAA55
    static let signature: [UInt8] = Array("HdrS".utf8)
    static let loadedHigh: UInt8 = 0x01
    /// A boot loader without a number of its own.
    static let unregisteredLoader: UInt8 = 0xFF
    static let normalVideoMode: UInt16 = 0xFFFF
    /// Where initrds end in kernels that do not say.
    static let initrdAddressMaxDefault: UInt64 = 0x37FF_FFFF
    static let commandLineSizeDefault: UInt64 = 255

    /// The bytes from `start`, at least up to the end of `initSize`.
    private(set) var bytes: [UInt8]

    /// Takes the header out of a bzImage, checking that there is one.
    init(of file: ImageFile) throws(LoadError) {
        func fail(_ reason: String) -> LoadError { .malformed(file: file.name, .bzImage, reason: reason) }
        guard !file.bytes.isEmpty else { throw .empty(file: file.name) }
        let bootFlag: UInt16 = try file.integer(at: UInt64(Field.bootFlag.rawValue), as: .bzImage, "the setup header")
        guard bootFlag == Self.bootFlag else { throw fail("the boot sector's signature 55 AA is missing") }
        let at = UInt64(Field.signature.rawValue)
        guard try file.range(at: at, count: 4, as: .bzImage, "the setup header").elementsEqual(Self.signature) else {
            throw fail("the setup header's signature \"HdrS\" is missing")
        }
        let jump = try file.range(at: UInt64(Field.jumpLength.rawValue), count: 1, as: .bzImage, "the setup header")
        let end = Field.signature.rawValue + Int(jump[Field.jumpLength.rawValue])
        guard end > Field.version.rawValue + 2, end <= Self.latestEnd else { throw fail("the setup header's length is impossible") }
        bytes = Array(try file.range(at: UInt64(Self.start), count: UInt64(end - Self.start), as: .bzImage, "the setup header"))
        // Shorter headers of old kernels are filled up: the version tells which fields hold.
        bytes += [UInt8](repeating: 0, count: Self.latestEnd - Self.start - bytes.count)
        guard version >= Version.oldest else {
            throw fail("its boot protocol \(version >> 8).\(version & 0xFF) is older than 2.02")
        }
    }

    /// The header of a kernel that has none of its own.
    init(made initrdAddressMax: UInt64, commandLineSize: UInt32) {
        bytes = [UInt8](repeating: 0, count: Self.latestEnd - Self.start)
        set(.bootFlag, Self.bootFlag)
        bytes.replaceSubrange(Field.signature.rawValue - Self.start..<Field.version.rawValue - Self.start, with: Self.signature)
        set(.version, Version.made)
        setByte(.loadFlags, Self.loadedHigh)
        set(.initrdAddressMax, UInt32(initrdAddressMax))
        set(.commandLineSize, commandLineSize)
    }

    var version: UInt16 { UInt16(truncatingIfNeeded: number(.version, bytes: 2)) }

    /// A field's value.
    func number(_ field: Field, bytes count: Int = 4) -> UInt64 {
        let at = field.rawValue - Self.start
        return bytes[at..<at + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func set(_ field: Field, _ value: some FixedWidthInteger) { bytes.store(value, at: field.rawValue - Self.start) }
    mutating func setByte(_ field: Field, _ value: UInt8) { set(field, value) }
}
