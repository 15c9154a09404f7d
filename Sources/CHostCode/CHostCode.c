#include "CHostCode.h"
