// All of this module is inlined from its header: a call would cost more than the arithmetic.
#include "CHostFloat.h"
