import Testing
import VirtualPC
