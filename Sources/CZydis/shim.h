#include <Zydis/Zydis.h>

// Status codes are function-like macros, which do not cross into Swift.
static const ZyanStatus HSZydisNoMoreData = ZYDIS_STATUS_NO_MORE_DATA;
static const ZyanStatus HSZydisTooLong = ZYDIS_STATUS_INSTRUCTION_TOO_LONG;
