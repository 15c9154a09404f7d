import Testing
import TraceFormat
