#include "CHostCPU.h"
