import Testing
import Devices
