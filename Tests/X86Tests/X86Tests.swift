import Testing
import X86
