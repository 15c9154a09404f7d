import Testing
import RecordReplay
