import Devices
import Testing

@Suite struct PICTests {
    /// A pair programmed as a PC does: vectors 20H and 28H, everything unmasked.
    private func programmed(icw4: UInt8 = 0x01) -> PIC {
        let pic = PIC()
        for (offset, id) in [(UInt64(0), UInt8(0x04)), (2, 0x02)] {
            pic.write8(offset, 0x11)
            pic.write8(offset + 1, offset == 0 ? 0x20 : 0x28)
            pic.write8(offset + 1, id)
            pic.write8(offset + 1, icw4)
            pic.write8(offset + 1, 0x00)
        }
        return pic
    }

    @Test("an edge is requested once, and again only after the line was low")
    func edges() {
        let pic = programmed()
        pic.line(4).set(true)
        #expect(pic.output)
        #expect(pic.read8(0) == 0x10)
        #expect(pic.acknowledge() == 0x24)
        #expect(!pic.output)
        pic.write8(0, 0x20)
        #expect(!pic.output, "a line that stays high is no new request")
        pic.line(4).set(false)
        pic.line(4).set(true)
        #expect(pic.output)
    }

    @Test("a request that is withdrawn before the acknowledge gives the spurious vector 7, with nothing in service")
    func spurious() {
        let pic = programmed()
        pic.line(3).set(true)
        pic.line(3).set(false)
        #expect(!pic.output)
        #expect(pic.acknowledge() == 0x27)
        pic.write8(0, 0x0B)
        #expect(pic.read8(0) == 0)
    }

    @Test("the lower number wins, and a level in service holds back itself and the lower ones")
    func priority() {
        let pic = programmed()
        pic.line(5).set(true)
        #expect(pic.acknowledge() == 0x25)
        pic.line(6).set(true)
        #expect(!pic.output)
        pic.line(1).set(true)
        #expect(pic.acknowledge() == 0x21)
        pic.write8(0, 0x0B)
        #expect(pic.read8(0) == 0x22)
        pic.write8(0, 0x20)
        #expect(pic.read8(0) == 0x20, "a non-specific EOI ends the highest")
        pic.write8(0, 0x65)
        #expect(pic.acknowledge() == 0x26)
    }

    @Test("a slave's request goes through the master's line 2, and the next one is an edge of its own")
    func cascade() {
        let pic = programmed()
        pic.line(12).set(true)
        pic.line(9).set(true)
        #expect(pic.acknowledge() == 0x29)
        #expect(!pic.output, "9 is in service, 12 is lower")
        pic.write8(2, 0x61)
        #expect(!pic.output, "the master's line 2 is still in service")
        pic.write8(0, 0x62)
        #expect(pic.output)
        #expect(pic.acknowledge() == 0x2C)
        pic.write8(2, 0x64)
        pic.write8(0, 0x62)
        #expect(!pic.output)
    }

    @Test("special fully nested mode lets a higher request of the slave through")
    func specialFullyNested() {
        let pic = programmed(icw4: 0x11)
        pic.line(12).set(true)
        #expect(pic.acknowledge() == 0x2C)
        pic.line(8).set(true)
        #expect(pic.output)
        #expect(pic.acknowledge() == 0x28)
    }

    @Test("a level-sensitive line requests for as long as it is high; lines 0 to 2, 8 and 13 stay edge-sensitive")
    func levels() {
        let pic = programmed()
        pic.write8(4, 0xFF)
        pic.write8(5, 0xFF)
        #expect(pic.read8(4) == 0xF8)
        #expect(pic.read8(5) == 0xDE)
        pic.line(11).set(true)
        #expect(pic.acknowledge() == 0x2B)
        pic.write8(2, 0x20)
        pic.write8(0, 0x20)
        #expect(pic.output)
        pic.line(11).set(false)
        #expect(!pic.output)
    }

    @Test("automatic EOI leaves nothing in service and rotates where told")
    func automaticEOI() {
        let pic = programmed(icw4: 0x03)
        pic.write8(0, 0x80)
        for irq in [0, 1] { pic.line(irq).set(true) }
        #expect(pic.acknowledge() == 0x20)
        pic.line(0).set(false)
        pic.line(0).set(true)
        #expect(pic.acknowledge() == 0x21, "0 has the lowest priority now")
        #expect(pic.acknowledge() == 0x20)
    }

    @Test("rotation: set priority, and rotate on a specific or a non-specific EOI")
    func rotation() {
        let pic = programmed()
        pic.write8(0, 0xC3)
        pic.line(3).set(true)
        pic.line(4).set(true)
        #expect(pic.acknowledge() == 0x24)
        pic.write8(0, 0xA0)
        pic.line(5).set(true)
        #expect(pic.acknowledge() == 0x25, "4 was put last, 5 is first")
        pic.write8(0, 0xE2)
        #expect(pic.acknowledge() == 0x23, "2 was put last, so 3 comes before 5, which is in service")
        pic.write8(0, 0x0B)
        #expect(pic.read8(0) == 0x28)
    }

    @Test("special mask mode enables lower levels than one in service that is masked")
    func specialMask() {
        let pic = programmed()
        pic.line(1).set(true)
        #expect(pic.acknowledge() == 0x21)
        pic.line(6).set(true)
        #expect(!pic.output)
        pic.write8(0, 0x68)
        pic.write8(1, 0x02)
        #expect(pic.output)
        pic.write8(0, 0x20)
        pic.write8(0, 0x0B)
        #expect(pic.read8(0) == 0x02, "a non-specific EOI does not end a masked level")
        pic.write8(0, 0x48)
        #expect(!pic.output)
    }

    @Test("a poll is an acknowledge by reading")
    func poll() {
        let pic = programmed()
        pic.write8(0, 0x0C)
        #expect(pic.read8(0) == 0x00)
        pic.line(6).set(true)
        pic.write8(0, 0x0C)
        #expect(pic.read8(0) == 0x86)
        #expect(!pic.output)
        #expect(pic.read8(1) == 0x00, "the poll is over")
        pic.write8(0, 0x0B)
        #expect(pic.read8(0) == 0x40)
    }

    @Test("ICW1 clears mask, service and pending edges; without ICW4 two words suffice")
    func initialization() {
        let pic = programmed()
        pic.write8(1, 0xFF)
        pic.line(3).set(true)
        pic.write8(0, 0x12)
        #expect(!pic.output)
        pic.write8(1, 0x77)
        #expect(pic.read8(1) == 0)
        #expect(!pic.output, "the line must rise again")
        pic.line(3).set(false)
        pic.line(3).set(true)
        #expect(pic.acknowledge() == 0x73)
    }

    @Test("R4: a line reaches the processor when it and its way are unmasked")
    func reach() {
        #expect(!PIC().canReach(irq: 0), "not initialized")
        let pic = programmed()
        #expect(pic.canReach(irq: 0) && pic.canReach(irq: 15))
        pic.write8(1, 0x04)
        #expect(pic.canReach(irq: 0) && !pic.canReach(irq: 8))
        pic.write8(1, 0x01)
        #expect(!pic.canReach(irq: 0) && pic.canReach(irq: 8))
        pic.write8(3, 0x01)
        #expect(!pic.canReach(irq: 8) && pic.canReach(irq: 9))
    }
}
